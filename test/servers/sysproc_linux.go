package servers

import "syscall"

// sysProcAttr puts a server into a process group of its own, so that Ctrl-C in the terminal reaches this program only,
// and has the kernel stop it when this program dies without closing its Lab (a test that is killed by its time limit).
func sysProcAttr(user *syscall.Credential, orphaned syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: user, Pdeathsig: orphaned}
}
