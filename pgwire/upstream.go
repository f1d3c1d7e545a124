package pgwire

import (
	"context"
	"net"
)

// Upstream is a verified connection to the upstream: all that a Server needs of one. Read, Write, Close and
// the deadlines work as in net.Conn. [Server.Dial] returns it; the session closes it.
//
// An error of its methods may be a [Failure].
type Upstream interface {
	net.Conn

	// CloseWrite ends the stream to the upstream, after everything that was written. Reading goes on.
	CloseWrite() error

	// CanBind reports whether a SCRAM login can be bound to the connection. A certificate signed with Ed25519
	// gives nothing to bind to: RFC 5929 names no hash for it.
	CanBind() bool
	// ServerEndPoint returns the data of tls-server-end-point (RFC 5929): the hash of the upstream's
	// certificate. Only a bridge calls it, and only if CanBind is true. Empty data without an error end the
	// login.
	ServerEndPoint() ([]byte, error)

	// Socket returns the connection that carries the encrypted stream. Nil means that there is none with a
	// descriptor: then two goroutines relay the session instead of an event loop.
	Socket() net.Conn
	// SetNonBlocking puts another carrier of the same stream in the place of Socket. Its Read and Write
	// return EAGAIN instead of waiting. From then on one goroutine at a time calls TryRead, TryWrite,
	// TryFlush, CloseWrite and Close. Nobody calls Read or Write.
	SetNonBlocking(socket net.Conn)
	// TryRead reads once from the socket into p, which has room for 48 KiB. Without data the error is EAGAIN
	// or the end of the stream. If more is true, there is probably more to read.
	TryRead(p []byte) (n int, more bool, err error)
	// TryWrite takes all of p, at most 64 KiB, and sends what the socket has room for. If flushed is false,
	// TryFlush sends the rest; until it has, TryWrite must not be called again.
	TryWrite(p []byte) (flushed bool, err error)
	// TryFlush sends what is left. TLS may also have something to send after TryRead.
	TryFlush() (flushed bool, err error)
}

// Opened is an upstream connection for a session, and what its opener has to know of the login on it. Each
// function may be nil.
type Opened struct {
	Upstream Upstream
	// Replace opens another connection in the place of this one, which the session has closed. The upstream
	// had ended it, or refused the connection itself: the upstream starts or stops, or its first message says
	// that it is full, or that the connection was too old. why says so. The client has not seen anything of the
	// upstream by then, and the session sends the same startup packet again. An error ends the session. If it
	// is or wraps why, the client sees what it would see without Replace. A session calls Replace at most ten
	// times a second.
	Replace func(ctx context.Context, why error) (Opened, error)
	// Answered is called at the first message that says whether the upstream takes the login, unless it
	// refuses the connection itself. Replace may still be called later.
	Answered func()
	// LoggedIn is called when the login has succeeded.
	LoggedIn func()
}

const (
	// relayRead is how much is read from an upstream at once: two full TLS records. Together with their
	// plaintext they fit into a processor's near cache.
	relayRead = 32 << 10
	// relaySlack is room for one more record, of which a part had come before.
	relaySlack = 16 << 10
	// relayWrite is how much is read from a client at once: four records.
	relayWrite = 64 << 10
)
