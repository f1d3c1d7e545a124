package tlsorigin

import (
	"context"
	"fmt"
	"time"
)

// maxHandshakes bounds how many handshakes are computed at one time. Each costs milliseconds of a processor,
// so a burst of a thousand clients would otherwise make running sessions wait for seconds.
const maxHandshakes = 32

// turns is a semaphore of maxHandshakes; nil bounds nothing.
type turns chan struct{}

// turn is the share of one handshake in turns. The handshake holds it while it computes and never while it
// waits for its peer: a peer that says nothing, or one byte a second, costs the others nothing. One goroutine
// uses it.
type turn struct {
	turns    turns
	deadline time.Time
	left     <-chan struct{} // closed when the handshake is not wanted any more
	held     bool
}

// noTurnError says that a handshake got no turn before its deadline, or was interrupted while it waited.
type noTurnError struct{ others int }

func (e noTurnError) Error() string {
	return fmt.Sprintf("no turn: %d other TLS handshakes were computed until the time was up", e.others)
}

func newTurn(ctx context.Context, turns turns, deadline time.Time) *turn {
	return &turn{turns: turns, deadline: deadline, left: ctx.Done()}
}

// take waits for a turn, first come first served, unless it is held already.
func (t *turn) take() error {
	if t == nil || t.turns == nil || t.held {
		return nil
	}
	select {
	case t.turns <- struct{}{}:
		t.held = true
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(t.deadline))
	defer timer.Stop()
	select {
	case t.turns <- struct{}{}:
		t.held = true
		return nil
	case <-t.left:
	case <-timer.C:
	}
	return noTurnError{cap(t.turns)}
}

// giveBack ends the turn. It may be called again.
func (t *turn) giveBack() {
	if t != nil && t.held {
		<-t.turns
		t.held = false
	}
}
