package host

import "net"

// TCPListenConfig returns the options of a TCP listener. Multipath TCP is off: it is for machines with
// several paths to each other. Keep-alive finds machines that went away in silence; where only this machine
// can connect, it would be four system calls for each connection and nothing else.
func TCPListenConfig(loopback bool) *net.ListenConfig {
	lc := new(net.ListenConfig) // keep-alive after 15 seconds
	if loopback {
		lc.KeepAlive = -1
	}
	lc.SetMultipathTCP(false)
	return lc
}
