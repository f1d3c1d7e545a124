// Package tlsorigin opens verified TLS connections to a Postgres server or pooler, the upstream.
//
// A Dialer resolves and connects, sends SSLRequest, reads one byte of answer, performs the TLS handshake and
// verifies. Dial returns a connection only if all of this holds:
//
//   - The upstream answered a lone 'S' and sent nothing else before the TLS handshake. In direct TLS it
//     agreed to the protocol "postgresql" by ALPN instead.
//   - Its certificate chains up to a configured root, or to a system root if none is configured. Every date,
//     name constraint, path length and extended key usage is in order.
//   - The certificate carries the configured server name, or the host of the address in use, as a subject
//     alternative name. The Common Name never counts. Config.VerifyCA leaves this comparison out, and needs a
//     configured root.
//   - The certificate may be used for signatures, and no RSA key of the chain is shorter than 2048 bits.
//   - With Config.CRLFile, no certificate of the chain is revoked, and each below the root has a list of its
//     issuer in force. With Config.Pins, one of the pinned keys is in the chain.
//   - The protocol is TLS 1.3, or TLS 1.2 with forward secrecy and an AEAD cipher.
//
// Until then no byte leaves the process except SSLRequest and the TLS handshake. No option, field or error
// path weakens this. A connection that resumes a session verifies, too, against the roots that are in force.
//
// Every failure is an *Error with a reason and one sentence. The reason is one word of a closed list. A
// client that has not authenticated may see the sentence. Of what an unverified upstream sent, the sentence
// holds only names from its certificate, quoted, without control characters and cut to a bounded length.
//
// # What the package knows
//
// It knows TCP, TLS, certificates, files that change, and what an address has shown before. Of Postgres it
// knows SSLRequest only. It must not know sessions, logins, metrics or the environment, and it keeps no log:
// Trace observes it.
//
// # Where to start reading
//
// dial.go has every step from Dialer.Dial to a verified connection. Its first comment says where the optional
// steps are. state.go has what a handshake takes from the Config and its files. reload.go replaces it.
// conn.go has the connection, nonblocking.go the same for an event loop.
//
// Package spares keeps connections ready ahead of their use. Package diagnose walks the road for the check
// command. Package internal/verify decides about certificates.
package tlsorigin
