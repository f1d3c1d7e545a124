//go:build !unix

package tlsorigin

import "syscall"

// readDescriptor cannot read without waiting here and says that there is nothing. What a spare has come to then shows
// when it is used.
func readDescriptor(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }
