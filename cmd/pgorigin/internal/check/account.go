package check

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgpassfile"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// account is what --login logs in with.
type account struct {
	user, database string
	passwordFile   string // holds only the password; if empty, passFile has it
	passFile       string // in the format of libpq's password file
	explicit       bool   // passFile was named, so it must exist

	own func() (string, error) // returns the password of a bridge; nil: none
}

// newAccount reads PGUSER, PGDATABASE, PGPASSFILE and HOME. pgorigin reads PG variables only here, and never
// PGPASSWORD.
func newAccount(env []string, passwordFile string) account {
	a := account{
		user: host.Getenv(env, "PGUSER"), database: host.Getenv(env, "PGDATABASE"),
		passwordFile: passwordFile, passFile: host.Getenv(env, "PGPASSFILE"),
	}
	a.explicit = a.passFile != ""
	if home := host.Getenv(env, "HOME"); a.passFile == "" && home != "" {
		a.passFile = filepath.Join(home, ".pgpass")
	}
	if a.database == "" {
		a.database = a.user // as libpq does
	}
	return a
}

// checkUser is the user of a startup packet unless PGUSER is set.
const checkUser = "pgorigin_check"

// of returns the account for an origin. Without PGUSER, it is that of the origin's URL.
func (a account) of(o *config.Origin) account {
	if a.user != "" {
		return a
	}
	user, database := o.Account()
	a.user, a.database = user, cmp.Or(a.database, database, user)
	return a
}

// startupNames returns the user and the database for a startup packet that goes no further.
func (a account) startupNames() (user, database string) {
	if a.user == "" {
		user = checkUser
	} else {
		user = a.user
	}
	if a.database == "" {
		return user, user
	}
	return user, a.database
}

// problems returns what keeps a from logging in to the upstreams of origins.
func (a account) problems(origins []*config.Origin) []config.Problem {
	var problems []config.Problem
	if slices.ContainsFunc(origins, func(o *config.Origin) bool { return a.of(o).user == "" }) {
		problems = append(problems, config.Problem{
			Variable: "PGUSER", Unset: true, Text: "expected the user that check --login logs in as",
		})
	}
	if a.passwordFile != "" {
		if _, err := config.ReadPassword(a.passwordFile); err != nil {
			problems = append(problems, config.Problem{
				Variable: "--password-file", Value: a.passwordFile, File: true,
				Text: err.Error() + "; give a readable file with the password and nothing else",
			})
		}
	} else if _, err := a.readPassFile(); err != nil {
		problems = append(problems, config.Problem{
			Variable: "PGPASSFILE", Value: a.passFile, File: true,
			Text: err.Error() + "; give a readable file of mode 0600 " +
				"with lines of host:port:database:user:password",
		})
	}
	return problems
}

// password returns the password for an upstream, which is host:port. It is empty if the password file has no
// line for it.
func (a account) password(upstream string) (string, error) {
	if a.own != nil {
		return a.own()
	}
	if a.passwordFile != "" {
		return config.ReadPassword(a.passwordFile)
	}
	file, err := a.readPassFile()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return "", fmt.Errorf("split upstream address: %w", err)
	}
	return file.FindPassword(host, port, a.database, a.user), nil
}

// readPassFile returns a file without lines if there is none at the usual place.
func (a account) readPassFile() (*pgpassfile.Passfile, error) {
	info, err := os.Stat(a.passFile)
	switch {
	case err != nil && !a.explicit:
		return new(pgpassfile.Passfile), nil
	case err != nil:
		return nil, withoutPath(err)
	case info.IsDir():
		return nil, errors.New("is a directory")
	case info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0: // libpq ignores such a file
		return nil, fmt.Errorf("group or others may read it (mode %04o)", info.Mode().Perm())
	}
	file, err := pgpassfile.ReadPassfile(a.passFile)
	if err != nil {
		return nil, withoutPath(err)
	}
	return file, nil
}

// withoutPath drops the path that package os puts in front, because a problem names it already.
func withoutPath(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("cannot be read: %w", pathError.Err)
	}
	return fmt.Errorf("cannot be read: %w", err)
}
