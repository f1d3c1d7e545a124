// Package spares keeps verified connections ready ahead of their use. A session that gets one saves
// resolving, TCP, SSLRequest and TLS.
//
// It knows how long an upstream lets a silent connection live. It knows when spares must go: after a reload, a
// failed dial, a dead spare or a change in DNS, and when the upstream is away. It must not know how a
// connection is made or verified: it calls Dialer.Dial. A cancel request never uses a spare.
//
// Start with Pool in pool.go. upkeep.go fills and drops, age.go learns the age that a spare may reach and
// spaces the attempts after failures.
package spares
