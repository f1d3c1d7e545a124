//go:build !unix

package main

// readable knows nothing here.
func readable(uintptr) bool { return false }
