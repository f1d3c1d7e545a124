package check

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestAskAuthentication(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	got := make(chan []byte)
	go func() {
		defer theirs.Close()
		stream := new(bytes.Buffer)
		discardStartup(io.TeeReader(theirs, stream))
		theirs.Write(pgtest.Message('R', "\x00\x00\x00\x05salt"))
		io.CopyN(stream, theirs, int64(len(pgtest.Terminate())))
		got <- stream.Bytes()
	}()
	methods, err := askAuthentication(t.Context(), pgtest.NewUpstream(ours), "app", "db")
	if err != nil || !slices.Equal(methods, []string{"md5"}) {
		t.Errorf("%v, %v", methods, err)
	}
	want := pgtest.Startup("user", "app", "database", "db", "application_name", "pgorigin check")
	want = append(want, pgtest.Terminate()...)
	if stream := <-got; !bytes.Equal(stream, want) {
		t.Errorf("sent %q, want %q", stream, want)
	}
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
		{
			"PGPASSFILE", "",
			[]string{"PGUSER=app", "PGPASSFILE=" + pass, "PGPASSWORD=never"},
			"from pgpass",
			"",
		},
		{"the usual place", "", []string{"PGUSER=app", "HOME=" + dir}, "from home", ""},
		{
			"no file", "",
			[]string{"PGUSER=app", "HOME=" + filepath.Join(dir, "nowhere"), "PGPASSWORD=never"},
			"", "",
		},
		{"no matching line", "", []string{"PGUSER=other", "PGPASSFILE=" + pass}, "", ""},
		{
			"--password-file", write("password", "s3cret word\r\n", 0o644),
			[]string{"PGUSER=app", "PGPASSFILE=" + pass},
			"s3cret word", "",
		},
		{"no user", "", nil, "", "PGUSER: not set"},
		{
			"named file missing", "",
			[]string{"PGUSER=app", "PGPASSFILE=" + filepath.Join(dir, "nowhere")},
			"", "PGPASSFILE: saw",
		},
		{
			"others may read it", "",
			[]string{"PGUSER=app", "PGPASSFILE=" + write("open", "x", 0o644)},
			"",
			"mode 0644",
		},
		{"empty password file", write("empty", "\n", 0o600), []string{"PGUSER=app"}, "", "is empty"},
		{
			"several lines", write("lines", "one\ntwo\n", 0o600),
			[]string{"PGUSER=app"},
			"",
			"more than a password",
		},
		{"password file is a folder", dir, []string{"PGUSER=app"}, "", "is a directory"},
		{
			"password file missing", filepath.Join(dir, "nowhere"),
			[]string{"PGUSER=app"},
			"",
			"--password-file: saw",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAccount(row.env, row.flag)
			problems := a.problems([]*config.Origin{{}})
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
	if user, database := newAccount(nil, "").startupNames(); user != checkUser || database != checkUser {
		t.Errorf("without PGUSER: %s, %s", user, database)
	}
	user, database := newAccount([]string{"PGUSER=app"}, "").startupNames()
	if user != "app" || database != "app" {
		t.Errorf("without PGDATABASE: %s, %s", user, database)
	}
}

// discardStartup reads one packet of the startup phase.
func discardStartup(r io.Reader) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err == nil {
		_, _ = io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(head[:]))-int64(len(head)))
	}
}
