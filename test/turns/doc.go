// Package turns compares two answers to one question: is this session idle outside a transaction? Clients say
// random legal sequences of messages, and those that drivers send, in random pieces through a pgwire.Server
// to PostgreSQL. At a random point all comes to rest. Then pg_stat_activity knows the truth, and a drain
// shows what pgwire takes for it.
package turns
