package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgpassfile"
	"github.com/jackc/pgx/v5/pgconn"
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
	roundTrip  time.Duration
}

// newAccount reads PGUSER, PGDATABASE, PGPASSFILE and HOME. These, for this one purpose, are the only PG variables that
// pgorigin reads; it never reads PGPASSWORD.
func newAccount(env []string, passwordFile string) account {
	a := account{
		user: lookup(env, "PGUSER"), database: lookup(env, "PGDATABASE"),
		passwordFile: passwordFile, passFile: lookup(env, "PGPASSFILE"),
	}
	a.explicit = a.passFile != ""
	if home := lookup(env, "HOME"); a.passFile == "" && home != "" {
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
func (a account) problems() []problem {
	var problems []problem
	if a.user == "" {
		problems = append(problems, problem{variable: "PGUSER", unset: true, text: "expected the user that check --login logs in as"})
	}
	if a.passwordFile != "" {
		if _, err := readPassword(a.passwordFile); err != nil {
			problems = append(problems, problem{variable: "--password-file", value: a.passwordFile, text: err.Error() + "; give a readable file with the password and nothing else"})
		}
	} else if _, err := a.readPassFile(); err != nil {
		problems = append(problems, problem{variable: "PGPASSFILE", value: a.passFile, text: err.Error() + "; give a readable file of mode 0600 with lines of host:port:database:user:password"})
	}
	return problems
}

// password returns the password for an upstream (host:port), "" if no line of the password file is for it.
func (a account) password(upstream string) (string, error) {
	if a.passwordFile != "" {
		return readPassword(a.passwordFile)
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

// login logs in over what dial returns, which must be verified, and asks the server about itself.
func (a account) login(ctx context.Context, upstream string, dial func(context.Context) (net.Conn, error)) (loginResult, error) {
	var result loginResult
	password, err := a.password(upstream)
	if err != nil {
		return result, fmt.Errorf("read password: %w", err)
	}
	config, err := plainConfig()
	if err != nil {
		return result, fmt.Errorf("prepare login: %w", err)
	}
	config.User, config.Database, config.Password = a.user, a.database, password
	config.RuntimeParams = map[string]string{"application_name": "pgorigin check"}
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return result, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	result.version = printable(conn.ParameterStatus("server_version"))
	answers, err := conn.Exec(ctx, "SELECT pg_catalog.pg_is_in_recovery()").ReadAll()
	if err != nil {
		return result, err
	}
	result.inRecovery = len(answers) == 1 && len(answers[0].Rows) == 1 && string(answers[0].Rows[0][0]) == "t"
	for range pings {
		began := time.Now()
		if _, err := conn.Exec(ctx, "SELECT 1").ReadAll(); err != nil {
			return result, err
		}
		if took := time.Since(began); result.roundTrip == 0 || took < result.roundTrip {
			result.roundTrip = took
		}
	}
	return result, nil
}

// plainConfig returns a pgconn.Config that owes nothing to the environment, which pgconn reads when it parses: TLS is
// there already, and in an application's environment PG variables point at pgorigin itself.
func plainConfig() (*pgconn.Config, error) {
	var names []string
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, prefix) {
			defer func() { _ = os.Setenv(name, value) }()
			names = append(names, name)
		}
	}
	for _, name := range slices.Compact(names) {
		_ = os.Unsetenv(name)
	}
	// The host is never dialled; it keeps pgconn from looking for a Unix socket and a password file.
	return pgconn.ParseConfig("host=127.0.0.1 port=5432 user=x sslmode=disable target_session_attrs=any passfile=/dev/null")
}

// loginFailure returns the reason and the sentence for a login that failed.
func loginFailure(err error) (reason, text string) {
	if word, sentence := reasonOf(err); word != "" {
		return word, sentence
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		e := serverError{printable(refused.Severity), printable(refused.Code), printable(refused.Message)}
		return "auth_rejected", e.Error()
	}
	var timedOut net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timedOut) && timedOut.Timeout() {
		return "login_timeout", "the login did not end in time"
	}
	return "upstream_gone", "the login ended early: " + printable(err.Error())
}
