// Package safetext makes a text that came from elsewhere fit for a terminal, a log line and an answer.
//
// It is the only sanitizer of this program. The leaves pgwire and tlsorigin bound what they quote themselves; this
// package is the second lock.
package safetext
