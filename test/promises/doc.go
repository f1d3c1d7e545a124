// Package promises tests what no leaf can promise alone: pgwire over tlsorigin,
// between a scripted client and upstreams that must never see a login.
package promises
