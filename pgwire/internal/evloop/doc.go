// Package evloop runs the relays of many sessions on few goroutines. It has all raw system calls, everything
// unsafe, and everything that depends on the operating system. The package knows sockets and readiness. It
// knows nothing of sessions, Postgres and TLS, and must not.
//
// # What it offers
//
// A [Group] has the loops. [Group.Add] takes two sockets and a [Relay] that moves bytes between them:
//
//	Adopt   once, when both sockets are watched and before the first Turn
//	Turn    whenever there may be something to do, on the goroutine of the loop: it must not wait
//	End     once, after Turn has returned Done, on a goroutine of its own
//
// Between Adopt and End the loop alone calls the relay. [Pair.Wake] asks for a Turn from anywhere else. Where
// there are no event loops, Add returns an error, and the caller relays with goroutines. Other functions ask
// the kernel about a connection: [HungUp], [HasInput], [Peek], [Undelivered].
//
// # How it works
//
// A goroutine for each direction costs a stack and a wake-up for each message. That is most of the cost of a
// relay of small messages. So each session gives its two sockets to one of a few loops, one less than there
// are processors. A loop goes round:
//
//	poll ─► note: events make sockets Readable ─► turn: each ready relay moves a buffer each way ─► poll
//
// Epoll is edge-triggered: a socket is registered once, and the kernel reports each change once. [Socket]
// remembers it until a read finds nothing more. Nothing waits while it relays: Read and Write of a Socket
// return EAGAIN.
//
// A loop that finds nothing waits a millisecond in the system call, without telling the scheduler. The
// scheduler would give the processor away and look for another one at each event, which costs as much as the
// relay. A loop with nothing to do for longer parks like any goroutine (parking).
//
// A large result comes in small records. [Pair.AwaitBatch] has the loop wait for a batch of them, and
// [Pair.AwaitAny] for any byte again (batch).
//
// A Socket has its own descriptor, a duplicate, because the runtime's poller would still watch the first one.
// The relay closes the original connections in Adopt. After End it owns the sockets again and closes them.
//
// Start reading at loop.run.
package evloop
