package outage

import "time"

// forgetAfter is how long an outage lasts for which nobody waits any more. Later, nothing is known: nobody tries.
const forgetAfter = 30 * time.Second

// forgetLater sees to it that the outage ends if no client comes any more. l.mu is held.
func (l *Line) forgetLater() {
	o := l.outage
	if o == nil {
		return
	}
	o.left = time.Now()
	if o.forget == nil {
		o.forget = time.AfterFunc(forgetAfter, func() { l.forget(o) })
	}
}

// forget ends o if nobody has waited for forgetAfter. A timer calls it; it does not hold l.mu.
func (l *Line) forget(o *outage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := forgetAfter - time.Since(o.left)
	switch {
	case l.outage != o:
	case l.queue.Len() > 0:
		o.forget = nil // idle begins again
	case left > 0:
		o.forget.Reset(left)
	default:
		l.outage = nil
		if o.announced && l.options.Trace.Forgotten != nil {
			l.options.Trace.Forgotten(o.left.Sub(o.began))
		}
	}
}
