package tlsorigin

import (
	"context"
	"errors"
	"net/netip"
)

var errOwnAddress = errors.New("the address is one of our own listeners")

// loopOf explains why r must not be dialled: it leads to this process. Nil means that it does not.
func (d *Dialer) loopOf(ctx context.Context, r route) *problem {
	to, err := netip.ParseAddrPort(r.dial)
	if err != nil || !d.isOwn(netip.AddrPortFrom(to.Addr().Unmap(), to.Port())) {
		return nil
	}
	switch {
	case r.dns == "":
		return because(ReasonUpstreamDNS, "this address is pgorigin itself")
	case d.asked == nil:
		return because(ReasonUpstreamDNS, "its name leads to pgorigin itself (%v)", to).as(CaseLoop)
	}
	return because(ReasonUpstreamDNS, "%s leads its name to pgorigin itself (%v)", namedServers(d.NameServers(ctx)), to).
		as(CaseLoopPast)
}
