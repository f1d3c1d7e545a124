//go:build !linux

package configfile

func withoutSignals(f func()) { f() }
