package tlsorigin

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"slices"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// steadyReadings is how often files that keep changing are read again at once.
const steadyReadings = 5

// snapshot holds the configured files at one moment, by path. A reload compares and parses the same reading,
// so the two cannot differ.
type snapshot map[string]file

// file is one file of a snapshot: its content, or why there is none.
type file struct {
	data []byte
	mode fs.FileMode
	err  error

	sum [sha256.Size]byte // of data; of the text of err if there is one
}

// files returns the paths of all files that c names, in the order of the fields, each once. A reload sees no
// other file.
func (c *Config) files() []string {
	var paths []string
	for _, path := range []string{c.CAFile, c.CRLFile, c.CertFile, c.KeyFile} {
		if path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// fieldOf returns the first field that names path.
func (c *Config) fieldOf(path string) string {
	switch path {
	case c.CAFile:
		return "CAFile"
	case c.CRLFile:
		return "CRLFile"
	case c.CertFile:
		return "CertFile"
	}
	return "KeyFile"
}

// maxFileSize is far above any real bundle of certificates: system roots have a quarter of a megabyte.
// maxListSize is for revocation lists: one with a million entries has 50 MB. Without a limit a mistaken path
// could fill the memory.
const (
	maxFileSize = 4 << 20
	maxListSize = 64 << 20
)

// readFile returns the content and the mode of a file.
func readFile(path string) ([]byte, fs.FileMode, error) { return configfile.Read(path, maxListSize) }

// readFunc reads one file. It is readFile, except in tests.
type readFunc func(path string) ([]byte, fs.FileMode, error)

// takeSnapshot reads paths.
func takeSnapshot(paths []string, read readFunc) snapshot {
	s := make(snapshot, len(paths))
	for _, path := range paths {
		f := file{}
		f.data, f.mode, f.err = read(path)
		if f.err != nil {
			f.sum = sha256.Sum256([]byte(f.err.Error()))
		} else {
			f.sum = sha256.Sum256(f.data)
		}
		s[path] = f
	}
	return s
}

// steadySnapshot reads paths until two readings in a row agree, or one agrees with earlier. So it sees files
// that are replaced all at once, as in a mounted Secret, either all old or all new. ok is false if they do
// not stop changing.
func steadySnapshot(paths []string, earlier snapshot, read readFunc) (s snapshot, ok bool) {
	s = takeSnapshot(paths, read)
	if earlier != nil && len(earlier.changed(paths, s)) == 0 {
		return s, true
	}
	for range steadyReadings {
		again := takeSnapshot(paths, read)
		if len(s.changed(paths, again)) == 0 {
			return s, true
		}
		s = again
	}
	return s, false
}

// read is readFile from s.
func (s snapshot) read(path string) ([]byte, fs.FileMode, error) {
	f, ok := s[path]
	if !ok {
		return nil, 0, errors.New("was not read: Config.files does not know it")
	}
	return f.data, f.mode, f.err
}

// size returns how many bytes were read.
func (s snapshot) size() (size int) {
	for _, f := range s {
		size += len(f.data)
	}
	return size
}

// changed returns those of paths whose content, or whose error, differs in later.
func (s snapshot) changed(paths []string, later snapshot) []string {
	var changed []string
	for _, path := range paths {
		before, after := s[path], later[path]
		if before.sum != after.sum || (before.err == nil) != (after.err == nil) {
			changed = append(changed, path)
		}
	}
	return changed
}

// withoutContent returns s without what a comparison does not need in memory.
func (s snapshot) withoutContent() snapshot {
	kept := make(snapshot, len(s))
	for path, f := range s {
		f.data = nil
		kept[path] = f
	}
	return kept
}
