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
	// logFlushTimeout is how long the end of the process waits for a slow reader of the log.
	logFlushTimeout = time.Second
	// keptLogBuffer is the largest buffer that is kept for the next lines.
	keptLogBuffer = 64 << 10
)

// logQueue writes whole lines to out in a goroutine of its own, so that nothing else waits for the reader
// of the log. It drops and counts lines that do not fit, and lines that out refuses. Its methods may be
// called concurrently.
//
// A write to a blocking pipe cannot be interrupted. The goroutine may hang in it until the process ends.
type logQueue struct {
	out   io.Writer
	ended chan struct{} // closed by the goroutine at its end
	wake  chan struct{} // wakes the goroutine; holds one token

	mu      sync.Mutex
	notice  func(lines uint64) []byte // makes the line about dropped lines; nil: none is written
	queued  []byte
	spare   []byte // an empty buffer for the next lines; may be nil
	held    int    // bytes that are queued or being written
	dropped uint64 // lines dropped since the last notice
	total   uint64 // lines dropped since the start
	closed  bool

	// For the goroutine only.
	failing bool // the last write failed
	torn    bool // the last write ended within a line
}

func newLogQueue(out io.Writer) *logQueue {
	q := &logQueue{out: out, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	go q.run()
	return q
}

// quitOn ends the process at SIGQUIT as the runtime does: with every stack in the log and exit code 2. The
// runtime itself might wait for the reader of stderr for ever. quitOn returns when quits is closed.
func (q *logQueue) quitOn(quits <-chan os.Signal) {
	if _, came := <-quits; !came {
		return
	}
	stacks := make([]byte, maxQueuedLog/2)
	stacks = stacks[:runtime.Stack(stacks, true)]
	_, _ = q.Write(append([]byte("SIGQUIT: quit\n\n"), append(stacks, '\n')...))
	q.close(logFlushTimeout)
	os.Exit(2) //nolint:forbidigo // the runtime does not return to main, either
}

// Write queues or drops one or more whole lines. It never blocks and never fails.
func (q *logQueue) Write(lines []byte) (int, error) {
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

// setNotice sets what makes the line about dropped lines.
func (q *logQueue) setNotice(notice func(lines uint64) []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.notice = notice
}

// lost returns how many lines have been dropped since the start.
func (q *logQueue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// close ends the goroutine when everything queued is written, and waits for that at most for timeout.
func (q *logQueue) close(timeout time.Duration) {
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

func (q *logQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake already
	}
}

// drop counts dropped lines. The caller holds mu.
func (q *logQueue) drop(lines int) {
	q.dropped += uint64(lines)
	q.total += uint64(lines)
}

// run writes until the queue is closed and empty.
func (q *logQueue) run() {
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

// take waits for lines to write, or for the end. dropped lines followed batch, and had no notice yet.
func (q *logQueue) take() (batch []byte, dropped uint64, closed bool) {
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

// write writes lines and frees their room. If an error has cut off the last line, it writes a line end first.
func (q *logQueue) write(lines []byte) {
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
func (q *logQueue) writeNotice(dropped uint64) {
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
func (q *logQueue) recycle(batch []byte) {
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

// DroppedLines returns a function that counts the lines that w has dropped, or nil if QueueStderr did not
// make w.
func DroppedLines(w io.Writer) func() uint64 {
	if q, ok := w.(*logQueue); ok {
		return q.lost
	}
	return nil
}

// QueueStderr puts a queue before the stderr of p, for a command that serves. The caller calls stop at its
// end. SIGQUIT ends the process with every stack in the log.
func QueueStderr(p *cli.Process) (stop func()) {
	q := queueStderr(p)
	quits := make(chan os.Signal, 1)
	signal.Notify(quits, syscall.SIGQUIT)
	go q.quitOn(quits)
	return func() {
		signal.Stop(quits)
		close(quits)
		q.close(logFlushTimeout)
	}
}

// QueueOnlyStderr does the same for a command that does something else at SIGQUIT.
func QueueOnlyStderr(p *cli.Process) (stop func()) {
	q := queueStderr(p)
	return func() { q.close(logFlushTimeout) }
}

// queueStderr makes the queue. Its end waits for a slow reader of the log, but not longer than
// logFlushTimeout. The process goes on when the reader is gone: without a channel for SIGPIPE, the runtime
// would end it.
func queueStderr(p *cli.Process) *logQueue {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // until the process ends
	q := newLogQueue(p.Stderr)
	p.Stderr = q
	return q
}
