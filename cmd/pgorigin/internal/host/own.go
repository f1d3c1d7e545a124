package host

import (
	"net"
	"net/netip"
	"slices"
)

// Reaches reports whether a connection to the address to would reach a listener that is bound to at. On a listener
// for every address, each address of this machine counts.
func Reaches(to, at netip.AddrPort) bool {
	ip, own := to.Addr().Unmap().WithZone(""), at.Addr().Unmap().WithZone("")
	switch {
	case to.Port() != at.Port():
		return false
	case ip.IsUnspecified(): // the system makes loopback of it
		return own.IsLoopback() || own.IsUnspecified()
	case !own.IsUnspecified():
		return ip == own
	case ip.Is6() && own.Is4():
		return false
	}
	return ip.IsLoopback() || isOfThisMachine(ip)
}

// isOfThisMachine reports whether a network interface has ip.
func isOfThisMachine(ip netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(addr net.Addr) bool {
		network, ok := addr.(*net.IPNet)
		if !ok {
			return false
		}
		own, ok := netip.AddrFromSlice(network.IP)
		return ok && own.Unmap() == ip
	})
}
