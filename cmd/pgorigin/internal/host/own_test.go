package host

import (
	"net"
	"net/netip"
	"testing"
)

func TestReaches(t *testing.T) {
	var mine string // an address of this machine that is not loopback
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			mine = network.IP.String()
		}
	}
	for _, row := range []struct {
		to, at string
		want   bool
	}{
		{"127.0.0.1:5432", "127.0.0.1:5432", true},
		{"127.0.0.1:5433", "127.0.0.1:5432", false}, // the real server of the same machine
		{"127.0.0.2:5432", "127.0.0.1:5432", false},
		{"[::ffff:127.0.0.1]:5432", "127.0.0.1:5432", true},
		{"[::1]:5432", "127.0.0.1:5432", false},
		{"[::1]:5432", "[::1]:5432", true},
		{"0.0.0.0:5432", "127.0.0.1:5432", true},
		{"[::]:5432", "[::1]:5432", true},
		{"10.0.0.1:5432", "127.0.0.1:5432", false},
		{"127.0.0.9:5432", "0.0.0.0:5432", true},
		{"127.0.0.9:5432", "[::]:5432", true},
		{"[::1]:5432", "0.0.0.0:5432", false},
		{"192.0.2.1:5432", "0.0.0.0:5432", false},
		{mine + ":5432", "0.0.0.0:5432", true},
		{mine + ":5432", "[::]:5432", true},
		{mine + ":5433", "[::]:5432", false},
	} {
		if row.to[0] == ':' {
			continue // without a network
		}
		if got := Reaches(netip.MustParseAddrPort(row.to), netip.MustParseAddrPort(row.at)); got != row.want {
			t.Errorf("%s reaches %s: %v", row.to, row.at, got)
		}
	}
}
