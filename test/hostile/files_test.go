//go:build hostile

package hostile

import (
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// fileVariables are the variables that name files, with what a good file holds.
func fileVariables() map[string][]byte {
	ca := shared.lab.CA
	client := ca.Issue(tlstest.Leaf{CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return map[string][]byte{
		"PGORIGIN_TLS_CA_FILE": ca.PEM(), "PGORIGIN_TLS_CRL_FILE": tlstest.CRLPEM(ca.CRL(tlstest.CRL{})),
		"PGORIGIN_TLS_CERT_FILE": client.CertPEM(), "PGORIGIN_TLS_KEY_FILE": client.KeyPEM(),
		"PGORIGIN_AUTH_PASSWORD_FILE": []byte(servers.Password + "\n"),
	}
}

// writeFiles writes all of them to a folder and returns the environment.
func writeFiles(t *testing.T, folder string) (env []string) {
	t.Helper()
	for variable, text := range fileVariables() {
		path := filepath.Join(folder, variable)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, variable+"="+path)
	}
	return append(env, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_TLS_RELOAD_INTERVAL=1s", "PGORIGIN_LOGIN_TIMEOUT=5s")
}

// fifo replaces a file by a FIFO that nobody writes to.
func fifo(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFIFOAtStart: whoever can replace a file wants a pgorigin that hangs and does not listen to SIGTERM. It says what is
// wrong and ends, or ends on SIGTERM.
func TestFIFOAtStart(t *testing.T) {
	t.Parallel()
	for variable := range fileVariables() {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			folder := t.TempDir()
			env := writeFiles(t, folder)
			fifo(t, filepath.Join(folder, variable))
			origin, err := shared.lab.Launch(shared.binary, shared.postgres.Addr, env...)
			if err != nil {
				t.Fatal(err)
			}
			defer endOrigin(t, origin.Process)
			select {
			case <-origin.Ended():
				if log := origin.Log.String(); !strings.Contains(log, variable) {
					t.Errorf("it ended without naming the variable:\n%s", log)
				}
				return
			case <-time.After(3 * time.Second):
			}
			if err := origin.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if _, err := origin.ExitCode(ctx); err != nil {
				t.Errorf("deaf to SIGTERM: %v", err)
			}
		})
	}
}

// TestFIFOAtReload: the same in a running pgorigin. Logins go on with the good state, somebody is told, SIGTERM ends it.
func TestFIFOAtReload(t *testing.T) {
	t.Parallel()
	for variable := range fileVariables() {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			folder := t.TempDir()
			origin := startOrigin(t, shared.postgres.Addr, writeFiles(t, folder)...)
			if v := psql(ctx, nil, servers.DSN(origin.Addr)); !v.Answered {
				t.Fatalf("psql says: %s", v.Error)
			}
			fifo(t, filepath.Join(folder, variable))
			if err := origin.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if variable != "PGORIGIN_AUTH_PASSWORD_FILE" { // read for each login
				if _, err := origin.Log.AwaitLine(ctx, `"level":"error"`); err != nil {
					t.Errorf("nobody is told: %v", err)
				}
			}
			limited, stop := context.WithTimeout(ctx, patience)
			v := psql(limited, nil, servers.DSN(origin.Addr))
			stop()
			switch {
			case v.Late:
				t.Error("a login hangs")
			case variable == "PGORIGIN_AUTH_PASSWORD_FILE" && (v.Connected || !strings.Contains(v.Error, "pgorigin: ")):
				t.Errorf("psql says: %s", v.Error)
			case variable != "PGORIGIN_AUTH_PASSWORD_FILE" && !v.Answered:
				t.Errorf("the good state is lost; psql says: %s", v.Error)
			}
			if status, _, err := origin.Get(ctx, "/livez"); status != 200 {
				t.Errorf("/livez answers %d, %v", status, err)
			}
			if err := origin.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			limited, stop = context.WithTimeout(ctx, patience)
			defer stop()
			if _, err := origin.ExitCode(limited); err != nil {
				t.Errorf("deaf to SIGTERM: %v", err)
			}
		})
	}
}

// TestFIFOForCommands: check and config read the same files, and somebody waits for them.
func TestFIFOForCommands(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"check", "config"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			env := writeFiles(t, folder)
			fifo(t, filepath.Join(folder, "PGORIGIN_TLS_CA_FILE"))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, shared.binary, command)
			cmd.Env = append(env, "PGORIGIN_UPSTREAM_ADDR="+shared.postgres.Addr)
			out, _ := cmd.CombinedOutput() // how it ends is its own matter
			if ctx.Err() != nil {
				t.Errorf("it hangs; it printed %.500s", out)
			}
		})
	}
}
