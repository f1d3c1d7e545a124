//go:build !unix

package host

// DescriptorLimit returns zero, which means no limit.
func DescriptorLimit() int { return 0 }
