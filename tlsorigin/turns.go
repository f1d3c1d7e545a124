package tlsorigin

import (
	"context"
	"fmt"
	"time"
)

// maxHandshakes bounds how many handshakes are under way at one time. Each costs milliseconds of a processor, so a burst
// of a thousand clients would otherwise make running sessions wait for seconds. It is wide enough for three hundred
// connections a second at a tenth of a second each.
const maxHandshakes = 32

// turns is a semaphore; nil bounds nothing.
type turns chan struct{}

// take waits for a turn until deadline. The caller calls done; a finding with a text means that there was no turn.
func (t turns) take(ctx context.Context, deadline time.Time) (done func(), found finding) {
	if t == nil {
		return func() {}, finding{}
	}
	done = func() { <-t }
	select {
	case t <- struct{}{}:
		return done, finding{}
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return done, finding{}
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, finding{ReasonTLSTimeout, fmt.Sprintf("was not asked in time: %d other TLS handshakes were under way", cap(t))}
}
