// Package config turns environment variables into a checked Config.
//
// It knows the table of variables: names, types, defaults, inheritance between origins, and help. It words
// what is wrong with a value, and it finds the name that was probably meant. It is the only room that reads
// the environment. It must not know what is built from a Config: it opens no socket and logs nothing. Of
// files it reads the password file and the hosts file; tlsorigin reads certificates.
//
// Start reading in table.go, the fields and rows of all variables. Load in config.go tells the rest.
package config
