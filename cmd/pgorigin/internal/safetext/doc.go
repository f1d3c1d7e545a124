// Package safetext makes a text that came from elsewhere fit for a terminal, a log line and an answer.
//
// It is the only sanitizer of cmd. The leaves sanitise what they hand over; this package is the second lock.
// It knows nothing of pgorigin.
package safetext
