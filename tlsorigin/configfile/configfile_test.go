//go:build unix

package configfile

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(at("file"), []byte("content"), 0o640))
	check(os.Symlink("file", at("link"))) // as mounted Secrets are
	check(os.Symlink("pipe", at("link to pipe")))
	check(os.Symlink("link in a circle", at("link in a circle")))
	check(syscall.Mkfifo(at("pipe"), 0o600))
	check(os.WriteFile(at("large"), make([]byte, 9<<10), 0o600))
	socket, err := net.Listen("unix", at("socket"))
	check(err)
	defer socket.Close()
	reader, writer, err := os.Pipe() // as those of a shell's process substitution
	check(err)
	defer reader.Close()
	defer writer.Close()
	check(os.Symlink("/proc/self/fd/"+strconv.Itoa(int(reader.Fd())), at("substituted")))

	for name, want := range map[string]string{
		"file": "", "link": "",
		"pipe": "is a pipe, but has to be a regular file", "link to pipe": "is a pipe, but has to be a regular file",
		"substituted":                            "is a pipe, but has to be a regular file",
		"socket":                                 "is a socket, but has to be a regular file",
		".":                                      "is a directory, but has to be a regular file",
		"../../../../../../../../../../dev/zero": "is a device, but has to be a regular file",
		"missing":                                "cannot be read: no such file or directory",
		"link in a circle":                       "cannot be read: too many levels of symbolic links",
		"large":                                  "is larger than 8 KiB",
	} {
		data, mode, err := Read(at(name), 8<<10)
		switch {
		case want == "" && (err != nil || string(data) != "content" || mode != 0o640):
			t.Errorf("%s: %q, mode %v, %v", name, data, mode, err)
		case want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
}

// A file that is far too large is refused by its size: reading up to the limit would cost several times that
// in memory.
func TestLargeFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	const limit = 16 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := Read(path, limit)
	runtime.ReadMemStats(&after)
	if err == nil || err.Error() != "is larger than 16 MiB" {
		t.Errorf("error %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("refusing it took %d bytes of memory", used)
	}
}

// A reading that hangs costs its callers Timeout once, then nothing, and one goroutine in all.
func TestReaderOfAHungMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Reader[int]
		answer := make(chan int)
		var begun atomic.Int32
		read := func() int { begun.Add(1); return <-answer }
		ask := func(ctx context.Context, want int, wantErr error, took time.Duration) {
			t.Helper()
			began := time.Now()
			got, err := r.Do(ctx, read)
			if got != want || !errors.Is(err, wantErr) || time.Since(began) != took {
				t.Errorf("%d, %v after %v; want %d, %v after %v", got, err, time.Since(began), want, wantErr, took)
			}
		}
		errEnd := errors.New("the end")
		ending, end := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { end(errEnd) })
		ask(ending, 0, errEnd, time.Second)
		ask(t.Context(), 0, ErrStalled, Timeout-time.Second)
		for range 100 {
			ask(t.Context(), 0, ErrStalled, 0)
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("%d readings were begun", n)
		}
		answer <- 1 // nobody wants that any more
		synctest.Wait()
		time.AfterFunc(Timeout-1, func() { answer <- 2 })
		ask(t.Context(), 2, nil, Timeout-1)
		if n := begun.Load(); n != 2 {
			t.Errorf("%d readings were begun", n)
		}
	})
}
