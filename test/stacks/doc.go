// Package stacks measures which TLS stacks of applications connect to which servers.
//
// A stack is a program of an application's kind: Go by version, rustls, OpenSSL, libpq, Python, Node, Bun,
// Deno, Java, Erlang and GnuTLS. The installer gets them from Debian's releases, npm and Go's toolchains.
//
// A site is a server that differs from an ordinary one in one thing. That is a key, a signature, a name, a
// form, a chain, a version, a group, or what stands in the way. Each cell is a real connection:
// SSLRequest, handshake, verification, login.
//
// The result is testdata/matrix.json, from which the table of cmd/pgorigin/internal/stacks is generated.
// The suite then asks "pgorigin check --clients" about each site. It fails if a prediction differs from
// what was measured. It also shows that each stack connects through pgorigin to the server whose keys are
// P-521.
//
// Start reading at sites_test.go and list_test.go.
package stacks
