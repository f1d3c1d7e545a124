package check

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// TestChoice: the order of the list is a preference, so the report says why another address than the first is used.
func TestChoice(t *testing.T) {
	address := func(addr string, works bool) Address {
		a := Address{Address: addr, Stages: []Stage{newStage(diagnose.StageTCP, 0, "")}}
		if works {
			a.Stages = append(a.Stages, newStage(diagnose.StageClientCertificate, 0, ""))
		} else {
			a.Stages[0].Result = resultFailed
		}
		return a
	}
	list := func(first, second, third bool) []Upstream {
		return []Upstream{
			{Upstream: "a:6432", Addresses: []Address{address("10.0.0.1:6432", first), address("10.0.0.2:6432", second)}},
			{Upstream: "b:6432", Addresses: []Address{address("10.0.0.3:6432", third)}},
		}
	}
	for _, row := range []struct {
		upstreams []Upstream
		host, ip  string
		want      string
	}{
		{list(true, true, true), "a:6432", "10.0.0.1", "it is the first in the list"},
		{list(false, true, true), "a:6432", "10.0.0.2", "it is the first in the list that works"},
		{list(false, false, true), "b:6432", "10.0.0.3", "it is the first in the list that works"},
		{list(true, false, true), "b:6432", "10.0.0.3", "it answered sooner than 10.0.0.1:6432, which is before it in the list"},
		{list(true, true, true), "b:6432", "10.0.0.3", "it answered sooner than the 2 working addresses before it in the list"},
		{list(true, true, true)[1:], "b:6432", "10.0.0.3", ""},
	} {
		addr := &tlsorigin.Addr{Host: row.host, TCP: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(row.ip + ":6432"))}
		if got := choice(row.upstreams, addr); got != row.want {
			t.Errorf("%s: %q, want %q", row.ip, got, row.want)
		}
	}
	if got := choice(list(true, true, true), nil); got != "" {
		t.Errorf("without a connection: %q", got)
	}
}
