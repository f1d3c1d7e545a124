// Package scram is the client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as PostgreSQL speaks them (RFC
// 5802, RFC 7677): messages in, messages out. It knows nothing of sessions and connections, and must not.
//
// Start reading at [Exchange], which is one login. It prepares the password (SASLprep, saslprep.go), hashes
// it, and checks that the server knows the password's verifier. A [Cache] spares the hash iterations of a
// login that has worked before.
//
// No library is used: none has a bound for the iterations, and each prepares some passwords in another way
// than PostgreSQL does.
package scram
