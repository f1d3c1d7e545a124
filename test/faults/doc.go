// Package faults breaks one thing at a time around a running pgorigin, reads what each surface says about it, does what
// the first advice says and connects.
//
// "make faults" runs it. It has the build tag "faults", because it takes two minutes and needs root for a part.
//
// Start reading at fault in fault_test.go. The faults are in the files of their subjects. The scores are in
// docs/explanation/diagnosis.md, which the test writes with -update and otherwise compares with.
package faults
