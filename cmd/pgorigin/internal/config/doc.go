// Package config makes a checked Config of the environment. It owns the table of variables: names, types,
// defaults, help and cures. No other package reads the environment by envconfig.
//
// It knows the fields of tlsorigin.Config and pgwire.Server that variables set. It must not know how a session or
// a check runs, and it writes no log.
//
// Start reading at Load in config.go. table.go has one row for each variable.
package config
