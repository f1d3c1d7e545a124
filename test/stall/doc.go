// Package stall holds sessions still for longer than every timeout of pgorigin, and compares what the client
// sees with what it sees without pgorigin.
//
// Each stall runs four times at once: directly, over libpq's own TLS, and through a pgorigin of its own in
// each mode. The outcomes must be equal. All stalls run together, because nearly all of them only wait; the
// table that the test prints has each outcome with its time. "make stall" runs it as root, because the
// vanished network takes network namespaces.
package stall
