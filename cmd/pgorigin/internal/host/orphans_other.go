//go:build unix && !linux

package host

import "os"

// AdoptsOrphans reports whether this process becomes the parent of processes whose parent has ended.
func AdoptsOrphans() bool { return os.Getpid() == 1 }
