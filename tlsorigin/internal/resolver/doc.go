// Package resolver finds the addresses of a name by DNS alone. A name in the hosts file may lead to pgorigin
// itself, and Go's own resolver always reads that file.
//
// It knows resolv.conf and the messages of DNS. It must not know what an address is for, and it keeps no
// answers. A DNS server proves nothing: what it can cost is bounded, and the certificate decides later.
//
// Start with LookupNetIP in resolver.go. conf.go reads resolv.conf, exchange.go asks one server, and answer.go
// reads what it says.
package resolver
