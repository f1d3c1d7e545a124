//go:build unix && !linux

package execute

import (
	"os"
	"syscall"
)

// systemSignals are none: only Linux has more.
func systemSignals() []os.Signal { return nil }

// endsWithParent cannot be asked for everywhere.
func endsWithParent() *syscall.SysProcAttr { return nil }
