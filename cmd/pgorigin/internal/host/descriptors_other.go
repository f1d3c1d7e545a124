//go:build !unix

package host

// DescriptorLimit knows of no limit here.
func DescriptorLimit() int { return 0 }
