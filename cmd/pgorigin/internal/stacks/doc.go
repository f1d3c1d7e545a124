// Package stacks predicts which TLS stacks of applications cannot connect to a server, and why.
//
// It knows a table of stacks, and what a server has that some of them do not accept. It opens no connection:
// check tells it what a server showed. Predict is a pure function of a Server and a Stack.
//
// Each fact of the table says how it was got. The suite of test/stacks measured it, or a source reports it.
// measured.go is generated from the matrix of the suite, by TestMeasuredStacks with -update. A stack that can be
// run belongs in the suite. table.go has the others.
//
// Start reading at Predict in predict.go. Causes are in cause.go, and server.go finds them.
package stacks
