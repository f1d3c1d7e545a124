// Package diagnose walks the road to an upstream and reports what it finds at each stage. The check command
// prints it.
//
// It knows stages, the matrix of key-exchange groups, and how to describe what an upstream presented. It must
// not decide anything about a connection: each walk is made by Dialer.Observe, which is the code of
// Dialer.Dial. So a diagnosis cannot disagree with what clients get.
//
// Start with Run in diagnose.go.
package diagnose
