// Package tlsorigin opens verified TLS connections to a Postgres server or pooler.
//
// Dialer.Dial resolves and connects, sends SSLRequest, reads exactly one byte of answer, performs the TLS handshake and
// hands out the connection only when all of this holds:
//
//   - the peer answered a lone 'S' and nothing else before the TLS handshake began, or, in direct TLS, agreed to the
//     protocol "postgresql" by ALPN;
//   - its certificate chains up to a configured root (or to a system root, when no root is configured), with every
//     date, name constraint, path length and extended key usage in order;
//   - the certificate carries the configured server name, or the host of the address in use, as a subject alternative
//     name; the Common Name is never consulted (with Config.VerifyCA, which needs a configured root, no name is);
//   - the certificate may be used for signatures, and no RSA key of the chain is shorter than 2048 bits;
//   - with Config.CRLFile, no certificate of the chain is revoked, and each below the root has a list of its issuer in
//     force; with Config.Pins, one of the pinned keys is in the chain;
//   - the protocol is TLS 1.2 with forward secrecy and an AEAD cipher, or TLS 1.3.
//
// Until then not one byte other than SSLRequest and the TLS handshake leaves the process. There is no other option, field
// or error path that weakens this; docs/explanation/verification.md compares the whole policy with that of libpq. Each
// connection verifies against the roots that are in force, also one that resumes a session, as Config.ResumeFor allows.
//
// What is remembered about an address, its key exchange, decides the next ClientHello and nothing else; docs/explanation/key-exchange.md
// has the rules.
//
// Every failure is an *Error with a reason word and one sentence that may be shown to an unauthenticated client: what
// an unverified peer sent appears in it only as names from its certificate, quoted, without control characters and cut
// to a bounded length.
//
// The package keeps no log and reads no environment; Trace observes it.
package tlsorigin
