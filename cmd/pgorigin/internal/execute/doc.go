// Package execute runs a command as a child of pgorigin, which connects it to the database:
// "pgorigin exec [--] COMMAND".
//
// Start reading at Run in execute.go, which tells this life from top to bottom. plan.go makes the environment
// of an ordinary sidecar out of the URLs that the application has. place.go chooses where the child connects,
// and childenv.go makes its environment. command.go finds the program. child_unix.go starts it and waits for
// it, and signals.go passes signals on.
//
// The package knows neither Postgres nor TLS. The package sidecar serves, and config knows the variables.
package execute
