// Package pgwire is our side of a Postgres conversation: it accepts plaintext
// clients, reads their startup packets, follows authentication, relays, forwards
// cancel requests and drains. It knows nothing of TLS: the upstream leg comes,
// already secured, from [Server.Dial].
//
//	accept ─► negotiate ─► Dial ──────────► startup bytes ─► auth phase ─────► relay ─► close
//	          SSLRequest→N   a verified       as received      until            both     once
//	          GSSENC→N       connection                        ReadyForQuery    ways
//	          Cancel ──────► Dial the address of the key ─► the packet ─► wait for EOF
//
// # What is read, and what is not
//
// Startup packets are read exactly, never a byte more, so that what a client
// pipelines behind them is kept. They are forwarded as received: any 3.x
// version, any _pq_. option, parameters in their order. In the auth phase the
// messages of both sides are framed, and one table says which may come when. One
// message is ever changed: an AuthenticationSASL offer loses the mechanisms that
// [Server.RequireAuth] does not allow and, by default, those with channel binding.
// A client on a plaintext connection cannot use these, and libpq refuses to see
// them. [PassChannelBinding] leaves them in; with [BridgeChannelBinding] the server
// answers authentication requests itself. From the first ReadyForQuery on nothing
// is changed or kept. Message headers are followed, so that a drain knows which
// sessions are idle, an error of ours is only put between two messages, and no
// request for a password is forwarded.
//
// # What a client may rely on
//
// Nothing it sent has gone anywhere before Dial returned a connection. A
// failure reaches it as an ErrorResponse with an SQLSTATE and an orderly close.
// Message formats and flow are those of the PostgreSQL manual, part "Frontend/Backend
// Protocol".
package pgwire
