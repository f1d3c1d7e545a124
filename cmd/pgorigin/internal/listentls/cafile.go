package listentls

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

const (
	certificateBlock = "CERTIFICATE" // in PEM
	maxCAFile        = 1 << 20
	caFileMode       = 0o644 // a certificate is no secret
)

// ErrForeignFile is the error of a file that is not ours to replace.
var ErrForeignFile = errors.New("is not a CA file that pgorigin has written")

// WriteFile writes the certificate of the CA to path for clients. It replaces the file as a whole, and only one
// that an Authority has written before.
func (a *Authority) WriteFile(path string) error {
	if err := ours(path); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".pgorigin-*")
	if err != nil {
		return fmt.Errorf("cannot be written: %w", withoutPath(err))
	}
	_, err = temporary.Write(a.PEM())
	err = errors.Join(err, temporary.Chmod(caFileMode), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("cannot be written: %w", withoutPath(err))
	}
	return nil
}

// ours returns nil if there is no file, or one that holds the certificate of an earlier Authority and nothing else.
func ours(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot be read: %w", withoutPath(err))
	case !info.Mode().IsRegular():
		return ErrForeignFile
	}
	data, _, err := configfile.Read(path, maxCAFile)
	if err != nil {
		return err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != certificateBlock || len(rest) > 0 {
		return ErrForeignFile
	}
	found, err := x509.ParseCertificate(block.Bytes)
	if err != nil || found.Subject.CommonName != authorityName {
		return ErrForeignFile
	}
	return nil
}

// withoutPath returns the reason of an error about a file. Messages name the variable and the file.
func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
