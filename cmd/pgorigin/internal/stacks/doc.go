// Package stacks predicts which TLS stacks of applications cannot connect to a server, and why.
//
// It knows a table of stacks, and what a server has that some of them do not accept. It opens no connection:
// check tells it what a server showed. Predict is a pure function of a Server and a Stack.
//
// Each fact of the table says how it was got. The suite of test/stacks measured it, or a source reports it.
//
// Start reading at Predict in predict.go. The table is in table_*.go, one file a family of stacks.
package stacks
