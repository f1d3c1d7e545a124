package host

import "net"

// TCPListenConfig returns the options of a TCP listener. Multipath TCP is off, because it helps only
// between machines. Keep-alive finds dead machines, so it is off on loopback. There it would only cost four
// system calls for each connection.
func TCPListenConfig(loopback bool) *net.ListenConfig {
	lc := new(net.ListenConfig) // keep-alive after 15 seconds
	if loopback {
		lc.KeepAlive = -1
	}
	lc.SetMultipathTCP(false)
	return lc
}
