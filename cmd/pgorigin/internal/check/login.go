package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgpassfile"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
)

// pings is how many round trips are measured; the shortest counts.
const pings = 5

// account is what --login logs in with.
type account struct {
	user, database string
	passwordFile   string // holds nothing but the password; empty: look it up in passFile
	passFile       string // in the format of libpq's password file
	explicit       bool   // passFile was named, so it must be there
}

// loginResult is what a login found out.
type loginResult struct {
	version    string
	inRecovery bool
	mechanism  string // of SASL; empty: another method
	roundTrip  time.Duration
}

func (r loginResult) String() string {
	role, by := "a primary", ""
	if r.inRecovery {
		role = "in recovery (read-only)"
	}
	if r.mechanism != "" {
		by = ", by " + r.mechanism
	}
	return fmt.Sprintf("server %s, %s, round trip %s%s", r.version, role, inMilliseconds(milliseconds(r.roundTrip)), by)
}

// newAccount reads PGUSER, PGDATABASE, PGPASSFILE and HOME. These, for this one purpose, are the only PG variables that
// pgorigin reads; it never reads PGPASSWORD.
func newAccount(env []string, passwordFile string) account {
	a := account{
		user: host.Lookup(env, "PGUSER"), database: host.Lookup(env, "PGDATABASE"),
		passwordFile: passwordFile, passFile: host.Lookup(env, "PGPASSFILE"),
	}
	a.explicit = a.passFile != ""
	if home := host.Lookup(env, "HOME"); a.passFile == "" && home != "" {
		a.passFile = filepath.Join(home, ".pgpass")
	}
	if a.database == "" {
		a.database = a.user // as libpq does
	}
	return a
}

// named returns the user and the database for a startup packet that goes no further.
func (a account) named() (user, database string) {
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

// problems says what keeps a from logging in anywhere.
func (a account) problems() []config.Problem {
	var problems []config.Problem
	if a.user == "" {
		problems = append(problems, config.Problem{Variable: "PGUSER", Unset: true, Text: "expected the user that check --login logs in as"})
	}
	if a.passwordFile != "" {
		if _, err := config.ReadPassword(a.passwordFile); err != nil {
			problems = append(problems, config.Problem{Variable: "--password-file", Value: a.passwordFile, Text: err.Error() + "; give a readable file with the password and nothing else"})
		}
	} else if _, err := a.readPassFile(); err != nil {
		problems = append(problems, config.Problem{Variable: "PGPASSFILE", Value: a.passFile, Text: err.Error() + "; give a readable file of mode 0600 with lines of host:port:database:user:password"})
	}
	return problems
}

// password returns the password for an upstream (host:port), "" if no line of the password file is for it.
func (a account) password(upstream string) (string, error) {
	if a.passwordFile != "" {
		return config.ReadPassword(a.passwordFile)
	}
	file, err := a.readPassFile()
	if err != nil || file == nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return "", fmt.Errorf("split upstream address: %w", err)
	}
	return file.FindPassword(host, port, a.database, a.user), nil
}

// readPassFile returns nil if there is no file at the usual place.
func (a account) readPassFile() (*pgpassfile.Passfile, error) {
	info, err := os.Stat(a.passFile)
	switch {
	case err != nil && !a.explicit:
		return nil, nil
	case err != nil:
		return nil, pathless(err)
	case info.IsDir():
		return nil, errors.New("is a directory")
	case info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0: // libpq ignores such a file
		return nil, fmt.Errorf("group or others may read it (mode %04o)", info.Mode().Perm())
	}
	file, err := pgpassfile.ReadPassfile(a.passFile)
	if err != nil {
		return nil, pathless(err)
	}
	return file, nil
}

// pathless drops the path that package os puts in front: a problem names it already.
func pathless(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("cannot be read: %w", pathError.Err)
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// login logs in over conn, which must be verified and lead to upstream, and asks the server about itself.
func (a account) login(ctx context.Context, conn pgwire.Upstream, upstream string, allowed pgwire.AuthMethods) (loginResult, error) {
	password, err := a.password(upstream)
	if err != nil {
		return loginResult{}, fmt.Errorf("read password: %w", err)
	}
	client, err := pgclient.Greet(conn, a.user, a.database, checkApplication)
	if err != nil {
		return loginResult{}, err
	}
	if err := client.Login(ctx, password, allowed); err != nil {
		return loginResult{}, err
	}
	defer client.Terminate()
	recovery, err := client.Query("SELECT pg_catalog.pg_is_in_recovery()")
	if err != nil {
		return loginResult{}, err
	}
	result := loginResult{version: safetext.Printable(client.ServerVersion()), inRecovery: recovery == "t", mechanism: client.Mechanism()}
	for range pings {
		began := time.Now()
		if _, err := client.Query("SELECT 1"); err != nil {
			return loginResult{}, err
		}
		if took := time.Since(began); result.roundTrip == 0 || took < result.roundTrip {
			result.roundTrip = took
		}
	}
	return result, nil
}
