// Package outage lets clients wait while the upstream is away.
//
// While the upstream is there, a Line only dials. An outage begins when a dial fails for a reason that may
// pass, or when no dial has been answered for a second. From then on clients wait in the order of their
// arrival, and one prober dials for all of them. What it gets goes to the first in line: its login shows
// whether the upstream is back.
//
//	line.go    the Line: when an outage begins and ends, and whose turn it is
//	place.go   the way of one client: it dials, or waits
//	login.go   what its login says about the upstream, after which it may come again
//	probe.go   the dials of the prober
//	queue.go   the order of arrival
//	forget.go  the end of an outage for which nobody waits
package outage

import (
	"container/heap"
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/background"
)

const (
	// suspectAfter is how long the upstream says nothing before it counts as away. A healthy one answers within
	// a few round trips. A busy or distant one gets suspectFactor times as long as its slowest answer of the
	// last minute. As long as nobody knows how quick it is, it gets suspectAtFirst.
	suspectAfter     = time.Second
	suspectAtFirst   = 3 * time.Second
	suspectFactor    = 4
	suspectAfterMost = 5 * time.Second
	slowestFor       = time.Minute
	// recheck is the time in which a process that was too busy to read catches up.
	recheck = 100 * time.Millisecond
	// firstWindow is how many clients dial and log in at one time when the upstream is back. More would share
	// the processors of the upstream, so that those who have waited longest would wait still longer. Each that
	// has logged in adds one, up to fullWindow. One that takes longer than turnTime does so, too, and does not
	// count any more: the upstream may be far away, or do many logins at one time. A login that takes no longer
	// than twice the quickest finds nobody busy. It adds one up to lastWindow.
	firstWindow = 4
	fullWindow  = 32
	lastWindow  = 128
	turnTime    = 250 * time.Millisecond
	// loginTime is how long a trial may take. The client may have to type a password.
	loginTime = time.Second
)

// Options of a Line.
type Options struct {
	// Wait is how long a client waits at most, from its first dial on. Zero means not at all.
	Wait time.Duration
	// Trace observes the Line.
	Trace Trace
}

// Trace holds hooks that a Line runs. Any may be nil. They must neither block nor call the Line.
type Trace struct {
	// Away is called when the first client of an outage has to wait.
	Away func(why error)
	// Back is called after Away, when the upstream takes logins again. It gets the length of the outage and
	// the number of clients that still wait. If nobody tried for a time before, the outage lasted until the
	// latest failure.
	Back func(lasted time.Duration, waiting int)
	// Hopeless is called in the place of Back if the upstream is there, but fails in a way that waiting does
	// not cure. All clients that wait get that failure.
	Hopeless func(why *tlsorigin.Error, lasted time.Duration, waiting int)
	// Forgotten is called in the place of Back if no client has waited for a while. Nobody has found out since
	// then whether the upstream is still away. It gets the time until the last client left.
	Forgotten func(lasted time.Duration)
	// Waited is called for each client that has waited: when the upstream answers its login, or with an error
	// when it has waited in vain. If the session has ended meanwhile, that is the error of its context.
	Waited func(waited time.Duration, err error)
	// Probed is called for each dial of a prober that was not interrupted. A nil failure means a verified
	// connection. why is what Away returns now.
	Probed func(failure *tlsorigin.Error, why error)
}

// Line dials for sessions. While the upstream is away they wait in the order in which they came. New makes a
// Line; its methods may be called concurrently.
type Line struct {
	upstream   upstream
	options    Options
	background *background.Group

	mu       sync.Mutex
	closed   bool
	arrived  uint64    // clients so far
	queue    queue     // clients that have no connection; in an outage also those that still dial
	pending  list.List // of *Place: dials of clients, the oldest first
	watching bool      // a timer will call watch
	doubtful bool      // the latest watch was in doubt
	answered time.Time // when a client was last answered
	loggedIn time.Time // when a login was last answered
	failed   time.Time // when a dial last failed, or a login was refused, by what may pass
	slowest  answer    // of the dials of the last minute; zero if none was answered yet
	waiting  int
	outage   *outage   // nil while the upstream is there
	recovery *recovery // after the latest outage; nil before the first
	prober   *prober   // nil unless clients wait in an outage
}

// outage is the time in which the upstream is away.
type outage struct {
	began     time.Time
	why       error // the latest reason
	announced bool
	probing   time.Time   // when the latest prober began
	left      time.Time   // when the line was last empty
	forget    *time.Timer // calls Line.forget; nil while it is known that clients wait
	suspect   time.Time   // since when waiting seems to be of no use; zero if it does not

	asked     time.Time // when addresses was brought up to date
	addresses []*address
}

// answer is how long a dial took.
type answer struct {
	took time.Duration
	at   time.Time
	away bool // in an outage; the next one says more
}

// recovery is the time after an outage. It limits how many of those who waited dial or log in at one time.
type recovery struct {
	window, dialling int
	quickest         time.Duration // from the dial to the end of the login; zero if there is none yet
}

// New returns a Line that dials by d.
func New(d *tlsorigin.Dialer, o Options) *Line { return newLine(dialer{d}, o) }

func newLine(u upstream, o Options) *Line {
	return &Line{upstream: u, options: o, background: background.New()}
}

// Close ends the probes. Clients that wait get an error, and later ones do not wait. Close returns nil.
func (l *Line) Close() error {
	l.mu.Lock()
	l.closed = true
	l.outage = nil
	l.stopProber()
	l.dismiss(errClosed)
	l.mu.Unlock()
	l.background.Close()
	return nil
}

// Waiting returns how many clients wait.
func (l *Line) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// Away reports whether the upstream is away, as far as clients have found out, since when, and why.
func (l *Line) Away() (since time.Time, why error, away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why = l.why(); why != nil {
		since = l.outage.began
	}
	return since, why, why != nil
}

// why returns why the upstream is away. It is nil if that was not announced. l.mu is held.
func (l *Line) why() error {
	if l.outage == nil || !l.outage.announced {
		return nil
	}
	return l.outage.why
}

// isClosed reports whether Close was called.
func (l *Line) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// l.mu is held in all that follows, unless the comment says otherwise.

// watch begins an outage if the upstream has said nothing for a while. A timer calls it; it does not hold l.mu.
func (l *Line) watch() {
	heard := l.upstream.heard()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = false
	oldest := l.pending.Front()
	if oldest == nil || l.outage != nil || l.closed {
		return
	}
	since := later(later(oldest.Value.(*Place).began, l.answered), heard)
	patience := l.patience()
	left := patience - time.Since(since)
	switch {
	case left > 0:
		l.doubtful = false
		l.watchIn(left)
	case !l.doubtful:
		l.doubtful = true
		l.watchIn(recheck)
	default:
		l.doubtful = false
		l.begin(l.upstream.unanswered(fmt.Sprintf("no connection was answered for %v", patience)))
	}
}

// patience returns how long the upstream may say nothing.
func (l *Line) patience() time.Duration {
	if l.slowest.at.IsZero() {
		return suspectAtFirst
	}
	return min(max(suspectAfter, suspectFactor*l.slowest.took), suspectAfterMost)
}

// connected notes that a dial, which began then, was answered.
func (l *Line) connected(began time.Time) {
	now := time.Now()
	took, away := now.Sub(began), l.outage != nil
	old := now.Sub(l.slowest.at) > slowestFor
	if took >= l.slowest.took || !away && (l.slowest.away || old) {
		l.slowest = answer{took, now, away}
	}
}

// watchIn sees to it that watch is called, in wait at the earliest.
func (l *Line) watchIn(wait time.Duration) {
	if !l.watching {
		l.watching = true
		time.AfterFunc(wait, l.watch)
	}
}

// note notes why the upstream is away. That begins an outage if there is none.
func (l *Line) note(why error) {
	if l.outage != nil {
		l.outage.why = why
		return
	}
	l.begin(why)
}

// begin begins an outage. Clients that dial go on, and have a place in the line from now on.
func (l *Line) begin(why error) {
	if l.closed {
		return
	}
	l.outage = &outage{began: time.Now(), why: why}
	l.forgetLater()
	for e := l.pending.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*Place); p.given == (grant{}) { // otherwise its dial is about to end
			l.push(p)
		}
	}
	l.announce()
	l.startProber()
}

// announce tells the hook of the outage, once a client waits.
func (l *Line) announce() {
	o := l.outage
	if o == nil || o.announced || l.waiting == 0 {
		return
	}
	o.announced = true
	if l.options.Trace.Away != nil {
		l.options.Trace.Away(o.why)
	}
}

// back ends the outage: the upstream takes logins.
func (l *Line) back() {
	o := l.outage
	l.outage = nil
	l.stopProber()
	if o.announced && l.options.Trace.Back != nil {
		end := time.Now()
		if l.failed.After(o.began) && l.failed.Before(o.probing) { // nobody tried between them
			end = l.failed
		}
		l.options.Trace.Back(end.Sub(o.began), l.waiting)
	}
	l.recovery = &recovery{window: firstWindow}
	l.release()
}

// hopeless ends the outage: the upstream is there, and waiting does not cure its failure.
func (l *Line) hopeless(why *tlsorigin.Error) {
	o := l.outage
	l.outage = nil
	l.stopProber()
	if o.announced && l.options.Trace.Hopeless != nil {
		l.options.Trace.Hopeless(why, time.Since(o.began), l.waiting)
	}
	l.recovery = &recovery{window: firstWindow}
	l.dismiss(why)
}

// dismiss empties the line. Clients that wait get err, and so do those whose dial is stuck.
func (l *Line) dismiss(err error) {
	for l.queue.Len() > 0 {
		p := l.pop()
		if p.woken != nil || time.Since(p.began) >= suspectAfter {
			p.give(grant{err: err})
		}
	}
}

// release lets clients dial, as many as may at one time.
func (l *Line) release() {
	if l.outage != nil || l.recovery == nil {
		return
	}
	for r := l.recovery; l.queue.Len() > 0 && r.dialling < r.window; {
		r.dialling++
		l.pop().give(grant{turn: r})
	}
}

// endTurn makes room for another client in the place of one that was released. A nil r does nothing.
func (l *Line) endTurn(r *recovery, grow bool) {
	if r == nil {
		return
	}
	r.dialling--
	if grow && r.window < fullWindow {
		r.window++
	}
	if r == l.recovery {
		l.release()
	}
}

// measure notes how long a client that was released took from its dial to the end of its login.
func (r *recovery) measure(took time.Duration) {
	if r.quickest == 0 || took < r.quickest {
		r.quickest = took
	}
	if r.window >= fullWindow && took <= 2*r.quickest {
		r.window = min(r.window+1, lastWindow)
	}
}

// hand gives a verified connection to the first in line. Its login tries whether the upstream is back.
func (l *Line) hand(conn *tlsorigin.Conn, a *address) {
	if l.outage == nil || l.queue.Len() == 0 {
		l.discard(conn)
		return
	}
	a.trials++
	a.handed = time.Now()
	l.candidate().give(grant{conn: conn, trial: a})
}

// takeBack takes what a client got and does not need.
func (l *Line) takeBack(g grant) {
	if g.conn != nil {
		g.trial.trials--
		l.hand(g.conn, g.trial)
		l.kick()
	}
	l.endTurn(g.turn, false)
}

// discard closes a connection that nobody needs. Close waits for it.
func (l *Line) discard(conn *tlsorigin.Conn) {
	if !l.background.Start(func(context.Context) { l.upstream.close(conn) }) {
		l.upstream.close(conn)
	}
}

// push gives p its place in the line, unless it has one.
func (l *Line) push(p *Place) {
	if p.index < 0 {
		heap.Push(&l.queue, p)
		l.startProber()
	}
}

// pop takes the first out of the line.
func (l *Line) pop() *Place {
	p := heap.Pop(&l.queue).(*Place)
	l.idle()
	return p
}

// candidate takes the client out of the line that gets the next trial. It is the first of those whose
// connections ended least often. So a client that the upstream does not like cannot hold up the others.
func (l *Line) candidate() *Place {
	best := l.queue[0]
	for _, p := range l.queue {
		if p.cuts < best.cuts || p.cuts == best.cuts && p.arrival < best.arrival {
			best = p
		}
	}
	l.remove(best)
	return best
}

// remove takes p out of the line, if it is in it.
func (l *Line) remove(p *Place) {
	if p.index >= 0 {
		heap.Remove(&l.queue, p.index)
		l.idle()
	}
}

// idle ends the probes if nobody waits.
func (l *Line) idle() {
	if l.queue.Len() == 0 {
		l.stopProber()
		l.forgetLater()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
