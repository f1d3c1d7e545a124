package tlsorigin

import (
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// asNobody takes root's right to read everything from the thread of the calling goroutine until restore is
// called.
func asNobody(t *testing.T) (restore func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func() {}
	}
	runtime.LockOSThread()
	setfsuid := func(uid uintptr) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, uid, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	setfsuid(65534)
	return func() {
		setfsuid(0)
		runtime.UnlockOSThread()
	}
}

func TestReloadAfterPermissionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Root", tlstest.P256)
		r := newRotation(t, secret(ca, issueClient(ca)), nil)
		before := r.state.Load()
		if err := os.Chmod(r.Path("ca.crt"), 0); err != nil {
			t.Fatal(err)
		}
		r.reloads.read = func(path string) ([]byte, fs.FileMode, error) {
			defer asNobody(t)()
			return readFile(path)
		}
		found, err := r.Reload(t.Context())
		checkReloadError(t, err, "permission denied")
		if found.Changed || r.state.Load() != before {
			t.Error("the state in force has changed")
		}
	})
}
