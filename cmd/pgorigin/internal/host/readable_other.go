//go:build !unix

package host

// Readable returns false.
func Readable(uintptr) bool { return false }
