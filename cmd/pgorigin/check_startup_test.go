package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestReadOffer(t *testing.T) {
	message := func(body string) []byte { return pgtest.Message('R', body) }
	for _, row := range []struct {
		name   string
		input  []byte
		want   []string
		reason string
	}{
		{"trust", pgtest.AuthenticationOk(), []string{"none"}, ""},
		{"cleartext", message("\x00\x00\x00\x03"), []string{"password"}, ""},
		{"md5", message("\x00\x00\x00\x05salt"), []string{"md5"}, ""},
		{"gss", message("\x00\x00\x00\x07"), []string{"gss"}, ""},
		{"unknown request", message("\x00\x00\x00\x63"), []string{"request 99"}, ""},
		{"scram", sasl(), []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, ""},
		{"behind a notice", append(pgtest.Message('N', "SNOTICE\x00Mhello\x00\x00"), sasl()...), []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, ""},
		{"behind a protocol negotiation", append(pgtest.Message('v', "\x00\x03\x00\x00\x00\x00\x00\x00"), sasl()...), []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, ""},
		{"mechanism of control characters", message("\x00\x00\x00\x0a\x1b[2J\x00\x00"), []string{"??2J"}, ""},
		{"no code", message("\x00"), nil, "upstream_protocol"},
		{"list without end", message("\x00\x00\x00\x0aab"), nil, "upstream_protocol"},
		{"empty list", message("\x00\x00\x00\x0a\x00"), nil, "upstream_protocol"},
		{"empty name", message("\x00\x00\x00\x0a\x00\x00"), nil, "upstream_protocol"},
		{"too many names", message("\x00\x00\x00\x0a" + strings.Repeat("A\x00", 30) + "\x00"), nil, "upstream_protocol"},
		{"length below its own size", []byte("R\x00\x00\x00\x03"), nil, "upstream_protocol"},
		{"huge length", []byte("R\x7f\xff\xff\xff"), nil, "upstream_protocol"},
		{"negative length", []byte("R\xff\xff\xff\xff"), nil, "upstream_protocol"},
		{"unexpected message", pgtest.ReadyForQuery('I'), nil, "upstream_protocol"},
		{"notices without end", bytes.Repeat(pgtest.Message('N', "\x00"), 100), nil, "upstream_protocol"},
		{"nothing", nil, nil, "upstream_gone"},
		{"cut in the header", []byte("R\x00"), nil, "upstream_gone"},
		{"cut in the body", []byte("R\x00\x00\x00\x0c\x00"), nil, "upstream_gone"},
	} {
		for _, reader := range []io.Reader{bytes.NewReader(row.input), iotest.OneByteReader(bytes.NewReader(row.input))} {
			got, err := readOffer(reader, time.Second)
			reason, _ := reasonOf(err)
			if !slices.Equal(got, row.want) || reason != row.reason || (err == nil) != (row.reason == "") {
				t.Errorf("%s: %v, %v; want %v, %q", row.name, got, err, row.want, row.reason)
			}
		}
	}
}

func TestAskAuthentication(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	got := make(chan []byte)
	go func() {
		defer theirs.Close()
		stream := new(bytes.Buffer)
		readStartup(io.TeeReader(theirs, stream))
		theirs.Write(pgtest.ErrorResponse("28000", "no\x1b entry"))
		io.CopyN(stream, theirs, int64(len(pgtest.Terminate())))
		got <- stream.Bytes()
	}()
	_, err := askAuthentication(ours, "app", "db", time.Second)
	var refused *serverError
	if !errors.As(err, &refused) || refused.code != "28000" || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("error %v", err)
	}
	want := append(pgtest.Startup("user", "app", "database", "db", "application_name", "pgorigin check"), pgtest.Terminate()...)
	if stream := <-got; !bytes.Equal(stream, want) {
		t.Errorf("sent %q, want %q", stream, want)
	}
}

func TestSilentServerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			io.Copy(io.Discard, theirs)
			theirs.Close()
		}()
		began := time.Now()
		_, err := askAuthentication(ours, "app", "app", 7*time.Second)
		if reason, _ := reasonOf(err); reason != "login_timeout" || time.Since(began) != 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAccount(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pass := write("pgpass", "db.test:6432:app:app:from pgpass\n", 0o600)
	write(".pgpass", "*:*:*:app:from home\n", 0o600)
	for _, row := range []struct {
		name, flag string
		env        []string
		want       string
		problem    string
	}{
		{"PGPASSFILE", "", []string{"PGUSER=app", "PGPASSFILE=" + pass, "PGPASSWORD=never"}, "from pgpass", ""},
		{"the usual place", "", []string{"PGUSER=app", "HOME=" + dir}, "from home", ""},
		{"no file", "", []string{"PGUSER=app", "HOME=" + filepath.Join(dir, "nowhere"), "PGPASSWORD=never"}, "", ""},
		{"no matching line", "", []string{"PGUSER=other", "PGPASSFILE=" + pass}, "", ""},
		{"--password-file", write("password", "s3cret word\r\n", 0o644), []string{"PGUSER=app", "PGPASSFILE=" + pass}, "s3cret word", ""},
		{"no user", "", nil, "", "PGUSER: not set"},
		{"named file missing", "", []string{"PGUSER=app", "PGPASSFILE=" + filepath.Join(dir, "nowhere")}, "", "PGPASSFILE: saw"},
		{"others may read it", "", []string{"PGUSER=app", "PGPASSFILE=" + write("open", "x", 0o644)}, "", "mode 0644"},
		{"empty password file", write("empty", "\n", 0o600), []string{"PGUSER=app"}, "", "is empty"},
		{"several lines", write("lines", "one\ntwo\n", 0o600), []string{"PGUSER=app"}, "", "more than a password"},
		{"password file is a folder", dir, []string{"PGUSER=app"}, "", "is a directory"},
		{"password file missing", filepath.Join(dir, "nowhere"), []string{"PGUSER=app"}, "", "--password-file: saw"},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAccount(row.env, row.flag)
			problems := a.problems()
			if row.problem != "" {
				if len(problems) != 1 || !strings.Contains(problems[0].String(), row.problem) {
					t.Errorf("problems %v, want %q", problems, row.problem)
				}
				return
			}
			if got, err := a.password("db.test:6432"); err != nil || got != row.want || len(problems) > 0 {
				t.Errorf("password %q, %v, problems %v; want %q", got, err, problems, row.want)
			}
		})
	}
	if user, database := newAccount(nil, "").named(); user != checkUser || database != checkUser {
		t.Errorf("without PGUSER: %s, %s", user, database)
	}
	if user, database := newAccount([]string{"PGUSER=app"}, "").named(); user != "app" || database != "app" {
		t.Errorf("without PGDATABASE: %s, %s", user, database)
	}
}

func TestPlainConfigOwesNothingToTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"PGSERVICE": "nowhere", "PGSSLMODE": "nonsense", "PGPASSWORD": "never", "PGHOST": "elsewhere", "PGOPTIONS": "-c x=y",
	} {
		t.Setenv(name, value)
	}
	config, err := plainConfig()
	if err != nil {
		t.Fatal(err)
	}
	if config.Password != "" || config.Host != "127.0.0.1" || config.TLSConfig != nil || len(config.Fallbacks) > 0 || len(config.RuntimeParams) > 0 {
		t.Errorf("%+v", config)
	}
	if os.Getenv("PGSERVICE") != "nowhere" {
		t.Error("the environment was not restored")
	}
}
