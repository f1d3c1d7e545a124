package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// maxPasswordFile is far more than a password has. It keeps a wrong path from filling the memory.
const maxPasswordFile = 64 << 10

// Password returns a function that reads the bridge's password, for pgwire. It returns nil if clients are
// asked. The function reads the file for each login, so a change counts at once. The password in UPSTREAM_URL
// stays what it is.
func (o *Origin) Password() func() (string, error) {
	path := o.Auth.PasswordFile
	if path == "" || o.urlPassword != nil {
		return o.urlPassword
	}
	file := new(passwordFile)
	return func() (string, error) { return file.read(path) }
}

// PasswordSource names what has the bridge's password: a file, or the variable UPSTREAM_URL.
func (o *Origin) PasswordSource() string {
	if o.Auth.PasswordFile == urlPassword {
		return o.own("UPSTREAM_URL")
	}
	return o.Auth.PasswordFile
}

// passwordFile reads a password file. Logins at the same time share one reading, and fail with it if the file
// is on a mount that does not answer.
type passwordFile struct {
	reader configfile.Reader[passwordReading]
}

type passwordReading struct {
	password string
	err      error
}

func (f *passwordFile) read(path string) (string, error) {
	got, err := f.reader.Do(context.Background(), func() (got passwordReading) {
		got.password, got.err = ReadPassword(path)
		return got
	})
	if err = errors.Join(err, got.err); err != nil {
		return "", fmt.Errorf("the password file %w", err)
	}
	return got.password, nil
}

// ReadPassword returns the content of a file without the end of line that editors add.
func ReadPassword(path string) (string, error) {
	data, _, err := configfile.Read(path, maxPasswordFile)
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(password, "\x00\n"):
		return "", errors.New("holds more than a password")
	}
	return password, nil
}
