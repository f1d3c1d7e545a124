// Package check is "pgorigin check": it finds out how far the way to each upstream leads, and says what is
// wrong.
//
// It knows the settings, diagnoses of tlsorigin and logins of pgclient. It neither listens nor logs nor
// counts, and it knows nothing of a running pgorigin. Before an upstream is verified, nothing but SSLRequest
// and TLS leaves.
//
// Start reading at Run in check.go. A stage is made in stages.go or authentication.go, and printed in
// print.go.
package check
