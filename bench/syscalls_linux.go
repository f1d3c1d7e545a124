package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// enterTracepoint is where the kernel says what number perf_event_open(2) knows the start of a system call by.
const enterTracepoint = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"

// callCounter counts the system calls of one process exactly, threads that it starts later included. The kernel counts;
// nothing is stopped or traced. Close it.
type callCounter struct{ files []int }

// countCalls starts counting. Who may not, which takes root or CAP_PERFMON, and a kernel with tracepoints, gets errNotHere.
func countCalls(pid int) (*callCounter, error) {
	c, err := newCallCounter(pid)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errNotHere, err)
	}
	return c, err
}

func newCallCounter(pid int) (*callCounter, error) {
	text, err := os.ReadFile(enterTracepoint)
	if err != nil {
		return nil, fmt.Errorf("find tracepoint of system calls: %w", err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("find tracepoint of system calls: %w", err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("list threads: %w", err)
	}
	c := &callCounter{}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Size: unix.PERF_ATTR_SIZE_VER0, Bits: unix.PerfBitInherit}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("list threads: %w", err), c.Close())
		}
		file, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("count system calls: %w", err), c.Close())
		}
		c.files = append(c.files, file)
	}
	return c, nil
}

// read returns how many system calls there were since countCalls.
func (c *callCounter) read() (float64, error) {
	var total uint64
	for _, file := range c.files {
		var buf [8]byte
		if _, err := unix.Read(file, buf[:]); err != nil {
			return 0, fmt.Errorf("read counter of system calls: %w", err)
		}
		total += binary.NativeEndian.Uint64(buf[:])
	}
	return float64(total), nil
}

// Close ends counting.
func (c *callCounter) Close() error {
	var problems []error
	for _, file := range c.files {
		problems = append(problems, unix.Close(file))
	}
	return errors.Join(problems...)
}
