//go:build !unix

package host

// Readable knows nothing here.
func Readable(uintptr) bool { return false }
