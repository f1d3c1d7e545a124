//go:build unix

package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.PGSQL.6432")
	first, err := ListenUnix(t.Context(), path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if _, err := ListenUnix(t.Context(), path, 0o600); !errors.Is(err, ErrSocketInUse) {
		t.Errorf("a live socket was taken: %v", err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the live socket does not work any more: %v", err)
	}
	accepted, err := first.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	if uid, err := PeerUID(accepted); err != nil || int(uid) != os.Getuid() {
		t.Errorf("peer's uid %d (%v), want %d", uid, err, os.Getuid())
	}
	_ = accepted.Close()
	_ = conn.Close()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What a killed process leaves behind is replaced; what is not a socket, or has
// an owner without our kind of lock, is not.
func TestListenUnixFindsSomethingThere(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	if err := os.WriteFile(dead+".lock", []byte("4711\npgorigin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := ListenUnix(t.Context(), dead, 0o600)
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	_ = again.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(t.Context(), file, 0o600); err == nil {
		t.Error("listens in place of a file")
	}
	if data, _ := os.ReadFile(file); string(data) != "precious" {
		t.Error("the file is gone")
	}

	foreign := filepath.Join(dir, "foreign")
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: foreign, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := ListenUnix(t.Context(), foreign, 0o600); !errors.Is(err, ErrSocketInUse) {
		t.Errorf("took a socket of somebody else: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := ListenUnix(t.Context(), filepath.Join(dir, "no", "such", "dir"), 0o600); err == nil {
		t.Error("listens in a folder that is not there")
	}
}

// Nothing that another program made is changed, removed, followed or taken, and nothing of ours stays behind.
func TestListenUnixLeavesOthersAlone(t *testing.T) {
	const postmaster = "4711\n/var/lib/postgresql/15/main\n1700000000\n6432\n/tmp\n\n"
	deadSocket := func(t *testing.T, path string) {
		t.Helper()
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		_ = ln.Close()
	}
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range map[string]struct {
		prepare func(t *testing.T, dir, path string)
		says    string
	}{
		"lock file of PostgreSQL": {func(t *testing.T, _, path string) { write(t, path+".lock", postmaster) }, "PostgreSQL"},
		"crashed PostgreSQL": {func(t *testing.T, _, path string) {
			write(t, path+".lock", postmaster)
			deadSocket(t, path)
		}, "PostgreSQL"},
		"lock file of another program":  {func(t *testing.T, _, path string) { write(t, path+".lock", "4711\n") }, "another program"},
		"dead socket without lock file": {func(t *testing.T, _, path string) { deadSocket(t, path) }, "nobody listens"},
		"lock file is a link": {func(t *testing.T, dir, path string) {
			write(t, filepath.Join(dir, "precious"), "")
			if err := os.Symlink("precious", path+".lock"); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"lock file is a dangling link": {func(t *testing.T, _, path string) {
			if err := os.Symlink("nowhere", path+".lock"); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"lock file is a hard link": {func(t *testing.T, dir, path string) {
			write(t, filepath.Join(dir, "precious"), "")
			if err := os.Link(filepath.Join(dir, "precious"), path+".lock"); err != nil {
				t.Fatal(err)
			}
		}, "hard link"},
		"lock file is a pipe": {func(t *testing.T, _, path string) {
			if err := syscall.Mkfifo(path+".lock", 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"socket is a link to a socket": {func(t *testing.T, dir, path string) {
			deadSocket(t, filepath.Join(dir, "other"))
			if err := os.Symlink("other", path); err != nil {
				t.Fatal(err)
			}
		}, "no socket"},
		"socket is a dangling link": {func(t *testing.T, _, path string) {
			if err := os.Symlink("nowhere", path); err != nil {
				t.Fatal(err)
			}
		}, "no socket"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "s.PGSQL.6432")
			row.prepare(t, dir, path)
			before := folder(t, dir)
			socket, err := ListenUnix(t.Context(), path, 0o600)
			if err == nil {
				_ = socket.Close()
			}
			var foreign *ForeignFileError
			if !errors.As(err, &foreign) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("error %v", err)
			}
			if after := folder(t, dir); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

// folder lists what is in dir: names, types and contents.
func folder(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, entry := range entries {
		fmt.Fprintf(&list, "%v %s", entry.Type(), entry.Name())
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			fmt.Fprintf(&list, " %q %v", text, err)
		}
		if entry.Type() == os.ModeSymlink {
			target, err := os.Readlink(filepath.Join(dir, entry.Name()))
			fmt.Fprintf(&list, " %s %v", target, err)
		}
		list.WriteByte('\n')
	}
	return list.String()
}

// Somebody took our place while we served. What is there by now is not removed.
func TestUnixSocketThatWasReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.PGSQL.6432")
	ours, err := ListenUnix(t.Context(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.Remove(path+".lock"), os.WriteFile(path+".lock", []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	theirs, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if err := ours.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
}
