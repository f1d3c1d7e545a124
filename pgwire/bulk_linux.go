package pgwire

import "time"

const (
	// bulkAfter is how much one side has to send, with nothing from the other
	// in between, to be taken for the sender of a large result or a COPY.
	bulkAfter = 128 << 10
	// upstreamLot and clientLot are how much of that should have arrived before
	// the loop looks at it: most of what it reads at once. Servers send records
	// of 4 or 8 KiB one by one, and clients likewise; to be woken for each costs
	// several times what it takes to decrypt and send it.
	upstreamLot, clientLot = 24 << 10, 48 << 10
	// bulkPause is how long what is less than a lot may have to wait, once at
	// the end of a bulk at most.
	bulkPause = 250 * time.Microsecond
)

// read takes note of n bytes from a direction, and of how the other one is.
func (c *conduit) read(from, other *direction, n int) {
	if n == 0 {
		if from.late {
			c.relax(from)
		}
		return
	}
	c.relax(other)
	other.streak = 0
	from.streak += n
	from.late = false
	if from.streak >= bulkAfter && c.loop.precise {
		c.wantLot(from)
	}
}

// wantLot lets the kernel wake the loop for a lot, the end or a mishap only.
// Less than a lot is found by the clock.
func (c *conduit) wantLot(d *direction) {
	if !d.bulk {
		if !d.socket.awaitBytes(d.lot) {
			return
		}
		d.bulk = true
		if !c.inBulk {
			c.inBulk = true
			c.loop.bulk = append(c.loop.bulk, c)
		}
	}
	d.due = time.Now().Add(bulkPause)
}

// relax lets the kernel wake the loop for any byte again. What is there by now
// is looked at, too.
func (c *conduit) relax(d *direction) {
	if d.bulk {
		d.bulk, d.late, d.readable = false, false, true
		_ = d.socket.awaitBytes(1)
	}
}

// overdue makes ready what has waited for a lot long enough, and returns how
// long the loop may wait for the next one; negative means for ever.
func (l *loop) overdue() time.Duration {
	if len(l.bulk) == 0 {
		return -1
	}
	now, next := time.Now(), bulkPause
	left := l.bulk[:0]
	for _, c := range l.bulk {
		if c.inBulk = !c.gone && (c.fromClient.awaitsLot() || c.fromUpstream.awaitsLot()); !c.inBulk {
			continue
		}
		left = append(left, c)
		for _, d := range [...]*direction{&c.fromClient, &c.fromUpstream} {
			switch wait := d.due.Sub(now); {
			case !d.awaitsLot():
			case wait > 0:
				next = min(next, wait)
			default:
				d.readable, d.late = true, true
				d.due = now.Add(bulkPause)
				l.enqueue(c)
			}
		}
	}
	clear(l.bulk[len(left):])
	l.bulk = left
	return next
}

// awaitsLot reports whether less than a lot would be found by the clock alone. A
// direction that has ended waits for nothing.
func (d *direction) awaitsLot() bool { return d.bulk && !d.done }
