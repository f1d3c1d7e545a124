//go:build !linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// The accounts that the benchmarks read are Linux's. Elsewhere the program compiles, and says so.
var errLinuxOnly = fmt.Errorf("measure a process: %w: Linux only", errors.ErrUnsupported)

type callCounter struct{}

func cpuTime(int) (time.Duration, error)          { return 0, errLinuxOnly }
func kernel() (version, memory string, err error) { return "", "", errLinuxOnly }
func countCalls(int) (*callCounter, error)        { return nil, errLinuxOnly }
func (*callCounter) read() (float64, error)       { return 0, errLinuxOnly }
func (*callCounter) Close() error                 { return nil }
