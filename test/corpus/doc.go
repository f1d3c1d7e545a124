// Package corpus compares verdicts: what pgorigin says of a certificate, and what libpq says of it with sslmode=verify-full
// and verify-ca, both asked about the same server in the same run. Every difference stands, with its reason, in
// docs/reference/libpq-differences.md; one that does not, or one that stands there and is none, fails the test.
package corpus
