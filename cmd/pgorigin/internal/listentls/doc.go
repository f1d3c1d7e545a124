// Package listentls is TLS for clients that insist on it. pgorigin is the server of that TLS. pgwire knows no TLS, and
// hands a connection over for the handshake.
//
// A Server makes TLS connections. Its certificate comes from an Authority, which lives in memory, or from files.
package listentls
