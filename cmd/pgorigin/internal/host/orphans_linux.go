package host

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AdoptsOrphans reports whether this process becomes the parent of processes whose parent has ended: as the
// first process of a container, or because somebody made it a subreaper.
func AdoptsOrphans() bool {
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	return os.Getpid() == 1 || err == nil && subreaper != 0
}
