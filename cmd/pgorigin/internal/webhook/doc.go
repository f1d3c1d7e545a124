// Package webhook is one running "pgorigin webhook": it reads the settings, listens, serves, drains and ends.
// Package inject decides about pods and answers reviews; this package knows the environment, the log and the
// metrics.
package webhook
