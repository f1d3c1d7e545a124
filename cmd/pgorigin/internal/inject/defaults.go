package inject

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// maxDefault bounds a file in the folder of defaults.
const maxDefault = 4 << 10

// ReadDefaults sets the defaults from a folder with a file for each word, which is what a mounted ConfigMap is. Nothing in it
// is not set. The error joins everything that is wrong.
func (i *Injector) ReadDefaults(folder fs.FS) error {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return fmt.Errorf("read the folder of defaults: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") { // ..data and the like, with which a kubelet swaps all files at once
			continue
		}
		value, err := readDefault(folder, entry.Name())
		if err == nil {
			err = i.Set(entry.Name(), value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("default %s: %w", entry.Name(), err))
		}
	}
	for _, text := range i.Check(func(word string) string { return "default " + word }) {
		problems = append(problems, errors.New(text))
	}
	return errors.Join(problems...)
}

func readDefault(folder fs.FS, name string) (string, error) {
	file, err := folder.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxDefault+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxDefault:
		return "", fmt.Errorf("expected at most %d bytes", maxDefault)
	}
	return strings.TrimSpace(string(text)), nil
}
