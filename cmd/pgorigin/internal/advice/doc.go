// Package advice turns findings into words for people: what a reason means, and what to change.
//
// It knows the table of reasons, the variables of an origin and the findings of the leaves. It neither logs
// nor counts, and it makes no decision for a session. Every text about a variable is a constant template.
// config.Origin.Fill completes it once, so no data is ever taken for the name of a variable.
//
// Start reading in reasons.go, the table.
package advice
