package observe

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

const (
	// maxQueuedLog is how many bytes of log lines wait for a slow reader: the lines of a few thousand
	// sessions.
	maxQueuedLog = 1 << 20
	// logWrite bounds one write. A pipe takes up to PIPE_BUF bytes whole, so lines never mix with those of
	// other writers.
	logWrite = 4096
	// LogFlushTimeout is how long the end of the process waits for a slow reader of the log.
	LogFlushTimeout = time.Second
	// keptLogBuffer is the largest buffer that stays allocated between bursts.
	keptLogBuffer = 64 << 10
)

// Queue passes whole lines to out in a goroutine of its own, so that nothing else waits for the reader of
// the log. It drops and counts the lines that do not fit, and those that out refuses. Its methods may be
// called concurrently.
//
// A write to a blocking pipe cannot be interrupted. The goroutine may hang there for ever; the process ends
// nevertheless.
type Queue struct {
	out   io.Writer
	ended chan struct{} // closed by the goroutine at its end
	wake  chan struct{} // holds one token: there is something to do

	mu      sync.Mutex
	notice  func(lines uint64) []byte // makes the line about dropped lines; nil: none is written
	queued  []byte
	spare   []byte // an empty buffer for the next lines; may be nil
	held    int    // bytes that are queued or being written
	dropped uint64 // lines that no notice has told of yet
	total   uint64 // lines dropped since the start
	closed  bool

	// Only the goroutine uses what follows.
	failing bool // the last write failed
	torn    bool // the last write ended within a line
}

func NewQueue(out io.Writer) *Queue {
	q := &Queue{out: out, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	go q.run()
	return q
}

// QuitOn ends the process at SIGQUIT as the runtime does, with every stack in the log and exit code 2. The
// runtime itself would write to stderr, and wait for its reader for ever. It returns when quits is closed.
func (q *Queue) QuitOn(quits <-chan os.Signal) {
	if _, came := <-quits; !came {
		return
	}
	stacks := make([]byte, maxQueuedLog/2)
	stacks = stacks[:runtime.Stack(stacks, true)]
	_, _ = q.Write(append([]byte("SIGQUIT: quit\n\n"), append(stacks, '\n')...))
	q.Close(LogFlushTimeout)
	os.Exit(2) //nolint:forbidigo // as the runtime does: nothing that main could end is worth waiting for
}

// Write queues or drops one or more whole lines. It never blocks and never fails.
func (q *Queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	if q.held+len(lines) > maxQueuedLog {
		q.drop(bytes.Count(lines, []byte{'\n'}))
	} else {
		q.queued = append(q.queued, lines...)
		q.held += len(lines)
	}
	q.mu.Unlock()
	q.signal()
	return len(lines), nil
}

// announce sets the notice about dropped lines.
func (q *Queue) announce(notice func(lines uint64) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.notice = notice
}

// Lost returns how many lines have been dropped since the start.
func (q *Queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// Close ends the goroutine when everything queued is written, and waits for that at most for timeout.
func (q *Queue) Close(timeout time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-q.ended:
	case <-timer.C:
	}
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake already
	}
}

// drop counts dropped lines. The caller holds mu.
func (q *Queue) drop(lines int) {
	q.dropped += uint64(lines)
	q.total += uint64(lines)
}

// run writes until the queue is closed and empty.
func (q *Queue) run() {
	defer close(q.ended)
	for {
		batch, dropped, closed := q.take()
		for rest := batch; len(rest) > 0; {
			lines := wholeLines(rest, logWrite)
			rest = rest[len(lines):]
			q.write(lines)
		}
		q.recycle(batch)
		if dropped > 0 && !q.failing {
			q.writeNotice(dropped)
		}
		if closed {
			return
		}
	}
}

// take waits for something to write, or for the end. Dropped counts the lines behind batch that no notice has
// told of.
func (q *Queue) take() (batch []byte, dropped uint64, closed bool) {
	for {
		q.mu.Lock()
		if len(q.queued) > 0 || q.closed || q.dropped > 0 && !q.failing {
			batch, q.queued, q.spare = q.queued, q.spare, nil
			dropped, closed = q.dropped, q.closed
			q.mu.Unlock()
			return batch, dropped, closed
		}
		q.mu.Unlock()
		<-q.wake
	}
}

// write writes lines and gives their room back. A line that was cut off by an error gets its line end first.
func (q *Queue) write(lines []byte) {
	if q.torn {
		_, err := q.out.Write([]byte{'\n'})
		q.torn = err != nil
	}
	n, err := q.out.Write(lines)
	q.failing = err != nil || n < len(lines)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= len(lines)
	if q.failing {
		n = max(0, min(n, len(lines)))
		q.torn = q.torn || n > 0 && lines[n-1] != '\n'
		q.drop(bytes.Count(lines[n:], []byte{'\n'}))
	}
}

// writeNotice writes the notice about dropped lines.
func (q *Queue) writeNotice(dropped uint64) {
	q.mu.Lock()
	notice := q.notice
	q.mu.Unlock()
	if notice != nil {
		line := notice(dropped)
		n, err := q.out.Write(line)
		if err != nil || n < len(line) {
			q.failing, q.torn = true, n > 0
			return
		}
	}
	q.mu.Lock()
	q.dropped -= dropped
	q.mu.Unlock()
}

// recycle keeps a small buffer for the next lines.
func (q *Queue) recycle(batch []byte) {
	if cap(batch) > keptLogBuffer {
		return
	}
	q.mu.Lock()
	q.spare = batch[:0]
	q.mu.Unlock()
}

// wholeLines returns the lines at the beginning of text that fit into size bytes, at least one.
func wholeLines(text []byte, size int) []byte {
	if len(text) <= size {
		return text
	}
	end := bytes.LastIndexByte(text[:size], '\n')
	if end < 0 {
		end = bytes.IndexByte(text, '\n')
	}
	if end < 0 {
		return text
	}
	return text[:end+1]
}

// QueueStderr puts a logQueue before the stderr of p, for a command that serves. The caller calls stop at its
// end, which waits for a slow reader no longer than logFlushTimeout. A reader that has gone is no reason to
// end: without a channel for SIGPIPE, the runtime would end the process at its next line.
func QueueStderr(p *cli.Process) (stop func()) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // until the process ends
	q := NewQueue(p.Stderr)
	p.Stderr = q
	quits := make(chan os.Signal, 1)
	signal.Notify(quits, syscall.SIGQUIT)
	go q.QuitOn(quits)
	return func() {
		signal.Stop(quits)
		close(quits)
		q.Close(LogFlushTimeout)
	}
}
