// Package check is what the Go programs of the driver matrix share: they take their account from the environment, run
// named checks and print a line of JSON for each.
package check

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// timeout bounds one check.
const timeout = 60 * time.Second

// Account is where and as whom to log in.
type Account struct{ Host, Port, User, Password, Database string }

// The environment of a program.
var (
	Main = Account{
		os.Getenv("DRIVER_HOST"), os.Getenv("DRIVER_PORT"),
		os.Getenv("DRIVER_USER"), os.Getenv("DRIVER_PASSWORD"), os.Getenv("DRIVER_DATABASE"),
	}
	// Other has letters beyond ASCII in every name.
	Other = Account{
		Main.Host, Main.Port,
		os.Getenv("DRIVER_OTHER_USER"), os.Getenv("DRIVER_OTHER_PASSWORD"), os.Getenv("DRIVER_OTHER_DATABASE"),
	}
	// CAFile is empty for a plaintext connection.
	CAFile = os.Getenv("DRIVER_CA_FILE")
	// Refusal are the server's words for a wrong password.
	Refusal = os.Getenv("DRIVER_REFUSAL")
)

// Text is sent back and forth by the check "unicode".
const Text = "Grüße, 世界, \U0001F418, e\u0301"

// LargeSize is the length of the value that travels both ways.
const LargeSize = 8 << 20

// DSN is a connection string of libpq's form, which pgx and lib/pq understand.
func (a Account) DSN() string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	dsn := "host=" + a.Host + " port=" + a.Port + " user=" + quote(a.User) + " password=" + quote(a.Password) +
		" dbname=" + quote(a.Database) + " connect_timeout=30"
	if CAFile == "" {
		return dsn + " sslmode=disable"
	}
	return dsn + " sslmode=verify-full sslrootcert=" + quote(CAFile)
}

// WithPassword is the same account with another password.
func (a Account) WithPassword(password string) Account {
	a.Password = password
	return a
}

// Check is one row of the matrix.
type Check struct {
	Name string
	Do   func(ctx context.Context) error
}

// Limit is the error of a check that the driver cannot do.
type Limit string

func (l Limit) Error() string { return string(l) }

// Note is the error of a check that passed, but not in full.
type Note string

func (n Note) Error() string { return string(n) }

type line struct {
	Check   string `json:"check,omitempty"`
	OK      *bool  `json:"ok"`
	Note    string `json:"note,omitempty"`
	Version string `json:"version,omitempty"`
	Waiting string `json:"waiting,omitempty"`
}

func write(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// Run runs the checks in order. modules is the import path whose version is reported.
func Run(name, module string, checks ...Check) {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range build.Deps {
			if dep.Path == module {
				write(line{Version: name + " " + strings.TrimPrefix(dep.Version, "v")})
			}
		}
	}
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		report(c.Name, c.Do(ctx))
		cancel()
	}
}

func report(name string, err error) {
	yes, no := true, false
	var limit Limit
	var note Note
	switch {
	case err == nil:
		write(line{Check: name, OK: &yes})
	case errors.As(err, &note):
		write(line{Check: name, OK: &yes, Note: string(note)})
	case errors.As(err, &limit):
		write(line{Check: name, Note: string(limit)})
	default:
		write(line{Check: name, OK: &no, Note: err.Error()})
	}
}

// AwaitRestart says that this program is ready for a restart of its server, and returns when that is over.
func AwaitRestart() {
	write(line{Waiting: "restart"})
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // at the end of input there is nothing to wait for
}

// Refused checks how a login with a wrong password ended.
func Refused(err error) error {
	switch {
	case err == nil:
		return errors.New("a wrong password was accepted")
	case !strings.Contains(err.Error(), Refusal):
		return fmt.Errorf("not the server's words: %w", err)
	}
	return nil
}

// Equal compares what came back with what was sent.
func Equal[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %.100v, want %.100v", fmt.Sprint(got), fmt.Sprint(want))
	}
	return nil
}

// Until calls done every few milliseconds until it says so.
func Until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
