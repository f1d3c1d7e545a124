//go:build unix

package host

import (
	"math"
	"syscall"
)

// DescriptorLimit returns how many files the process may have open. Zero means no limit. Go has raised the
// soft limit to the hard one at the start.
func DescriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return 0
	}
	return int(limit.Cur)
}
