package tlstest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Mount is a folder like one into which Kubernetes mounts a Secret: each file is a link through the link
// "..data", and all of them change at once when "..data" is replaced.
type Mount struct {
	dir     string
	version int
}

// NewMount makes dir, which must not exist yet, and puts files into it, by name.
func NewMount(dir string, files map[string][]byte) (*Mount, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make mount: %w", err)
	}
	m := &Mount{dir: dir}
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), m.Path(name)); err != nil {
			return nil, fmt.Errorf("link file: %w", err)
		}
	}
	return m, m.Swap(files)
}

// Path returns the path of a file in m.
func (m *Mount) Path(name string) string { return filepath.Join(m.dir, name) }

// Swap replaces all files at once. A file that was there at first and is not among files is missing
// afterwards.
func (m *Mount) Swap(files map[string][]byte) error {
	before := fmt.Sprintf("..%d", m.version)
	m.version++
	now := fmt.Sprintf("..%d", m.version)
	if err := os.Mkdir(m.Path(now), 0o755); err != nil {
		return fmt.Errorf("make version of mount: %w", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(m.Path(now), name), data, 0o600); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	err := errors.Join(os.Symlink(now, m.Path("..data_tmp")),
		os.Rename(m.Path("..data_tmp"), m.Path("..data")))
	if err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	return os.RemoveAll(m.Path(before))
}
