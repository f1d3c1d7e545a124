// Package check is "pgorigin check": it tests the path to each upstream and says what is wrong.
//
// It knows the settings, the diagnoses of tlsorigin and the logins of pgclient. It neither listens nor logs
// nor counts, and it knows nothing of a running pgorigin. It sends nothing but SSLRequest and TLS before an
// upstream is verified.
//
// Start reading at Run in check.go. Stages are made in stages.go and authentication.go. After a failure,
// changes.go says what is worth a trial, and trials.go tries it. verdict.go makes the verdict, and print.go
// prints the report.
package check
