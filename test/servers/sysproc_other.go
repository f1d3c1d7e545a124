//go:build unix && !linux

package servers

import "syscall"

// sysProcAttr puts a server into a process group of its own, so that Ctrl-C in the terminal reaches this program only.
func sysProcAttr(user *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: user}
}
