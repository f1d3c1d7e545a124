// Package pgwire is pgorigin's side of a Postgres conversation. It accepts plaintext clients, reads their
// startup packets, follows the login, relays, forwards cancel requests and drains.
//
// It knows Postgres messages. It knows nothing of TLS, of settings and of logs, and must not: a verified
// connection comes from [Server.Dial] as an [Upstream], and [Trace] reports what happens.
//
//	accept ─► negotiate ─► Dial ──────────► startup packet ─► login ─────────► relay ─► close
//	          SSLRequest→N   a verified        as received       until            both     both
//	          GSSENC→N       connection                          ReadyForQuery    ways
//	          Cancel ──────► Dial the address of the key ─► the packet ─► wait for the end
//
// Start reading at session.run, which is this picture. After that, each file answers one question:
//
//	startup.go        what may a client send first?
//	login.go          who may say what before ReadyForQuery? login_machine.go has the table.
//	replace.go        when does a login begin again on another connection?
//	aside.go          what does a session hold while it waits for its upstream?
//	bridge.go         how does pgorigin log in with a password, for a client that cannot bind?
//	relay.go          how do bytes pass, and how does a relay end? relay_conn.go does it on an event loop.
//	txtracker.go      is a session idle outside a transaction?
//	cancel.go         where does a cancel request go, and what is its effect?
//	capacity.go       how many of each may there be?
//	server.go         how does a server accept, drain and close?
//
// # What is read, and what is not
//
// The server reads exactly the startup packet and leaves everything after it in the connection. It forwards
// the packet as received: any version 3.x, any _pq_. option, parameters in their order. During the login, one
// table says which message may come when. Only one message is ever changed: an AuthenticationSASL offer loses
// the mechanisms that [Server.RequireAuth] does not allow, and by default those with channel binding. A
// client on a plaintext connection cannot use them, and libpq refuses to see them. [PassChannelBinding]
// leaves them in. With [BridgeChannelBinding] the server answers authentication requests itself.
//
// From the first ReadyForQuery on, nothing is changed or kept. The server follows message headers for three
// reasons. A drain has to know which sessions are idle. An ErrorResponse of the server may only come between
// two messages. And the client must not see a second request for a password.
//
// # What a client may rely on
//
// The server forwards nothing before Dial has returned a connection. It learns of a failure by an
// ErrorResponse with an SQLSTATE and an orderly close. For message formats and flow see the PostgreSQL
// manual, part "Frontend/Backend Protocol".
package pgwire
