package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time that a process, all of its threads, those that have ended included, has used so far, user and
// system. It is the kernel's own account in nanoseconds: the clock that clock_getcpuclockid(3) names.
func cpuTime(pid int) (time.Duration, error) {
	const schedulerClock = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// kernel returns the kernel's version and the size of the machine's memory.
func kernel() (version, memory string, err error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", "", fmt.Errorf("read version of kernel: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "", "", fmt.Errorf("read size of memory: %w", err)
	}
	size := float64(info.Totalram) * float64(info.Unit) / (1 << 30)
	return "Linux " + unix.ByteSliceToString(name.Release[:]), fmt.Sprintf("%.0f GiB", size), nil
}
