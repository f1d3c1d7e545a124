package evloop

// BufferSize is the size of the buffer that a Turn is given.
const BufferSize = 64 << 10

// Relay moves bytes between two sockets. Group.Add takes one.
type Relay interface {
	// Adopt makes the sockets the only way to their connections. It is called before Add returns.
	Adopt()
	// Turn moves what can be moved now, at most buf in each direction, and waits for nothing. buf belongs to
	// the loop and must not be kept.
	Turn(buf []byte) Next
	// End is called when the loop has let go of the sockets. It may wait.
	End()
}

// Next is when the next Turn is due.
type Next int

// The answers of Turn.
const (
	Wait  Next = iota // at an event of a socket, or Pair.Wake
	Again             // at once: there is more to do
	Done              // never: the relay is over
)
