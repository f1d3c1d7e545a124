package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// scriptedOut is a stderr whose reader can pause, and that can refuse to write.
type scriptedOut struct {
	mu      sync.Mutex
	text    bytes.Buffer
	refuses error         // nil: it takes everything
	takes   int           // bytes of a refused write that are written nevertheless
	pause   chan struct{} // nil: nothing waits; else each write takes one token first
	writes  int
}

func (o *scriptedOut) Write(p []byte) (int, error) {
	if o.pause != nil {
		<-o.pause
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	if o.refuses != nil {
		n, _ := o.text.Write(p[:min(o.takes, len(p))])
		return n, o.refuses
	}
	return o.text.Write(p)
}

func (o *scriptedOut) refuse(err error, takes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuses, o.takes = err, takes
}

func (o *scriptedOut) read() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func queueAndLog(out *scriptedOut) (*logQueue, *zap.Logger) {
	q := newLogQueue(out)
	return q, NewLogger(q, config.FormatJSON, zapcore.InfoLevel, nil)
}

// Nothing waits for a reader that has stopped, and the end waits for it for logFlushTimeout only.
func TestStoppedReaderOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &scriptedOut{pause: make(chan struct{})}
		q, log := queueAndLog(out)
		began := time.Now()
		const lines = 40000
		for i := range lines {
			log.Info("session ended", zap.Int("number", i))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("%d lines took %v", lines, took)
		}
		if q.held > maxQueuedLog || q.held < maxQueuedLog-4096 {
			t.Errorf("%d bytes are held", q.held)
		}
		lost := q.lost()
		if lost == 0 || lost >= lines {
			t.Errorf("%d of %d lines are lost", lost, lines)
		}
		q.close(logFlushTimeout)
		if took := time.Since(began); took != logFlushTimeout {
			t.Errorf("the end took %v", took)
		}
		close(out.pause) // the reader is back: each line is there, or in the notice
		<-q.ended
		written := strings.Split(strings.TrimSpace(out.read()), "\n")
		var notice struct {
			Message, Level string
			Lines          uint64
		}
		if err := json.Unmarshal([]byte(written[len(written)-1]), &notice); err != nil {
			t.Fatal(err)
		}
		if notice.Message != "log lines dropped" || notice.Level != "warn" || notice.Lines != lost || len(written)-1+int(lost) != lines {
			t.Errorf("%d lines and the notice %+v, %d are lost", len(written)-1, notice, lost)
		}
	})
}

// Every write is one or more whole lines and as short as a pipe takes at once, if the lines are.
func TestLogIsWrittenInWholeLines(t *testing.T) {
	long := strings.Repeat("x", 3*logWrite) + "\n"
	for _, row := range []struct{ text, want string }{
		{"a\nb\n", "a\nb\n"},
		{strings.Repeat("y", logWrite-3) + "\nabc\n", strings.Repeat("y", logWrite-3) + "\n"},
		{long, long},
		{long + "a\n", long},
		{strings.Repeat("z", 2*logWrite), strings.Repeat("z", 2*logWrite)},
	} {
		if got := wholeLines([]byte(row.text), logWrite); string(got) != row.want {
			t.Errorf("of %d bytes %d are written, want %d", len(row.text), len(got), len(row.want))
		}
	}
}

// A disk that is full for a while costs the lines of that while. What it took of a line is closed before the next one.
func TestFullDiskOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(scriptedOut)
		q, log := queueAndLog(out)
		out.refuse(errors.New("no space left on device"), 7)
		for i := range 3 {
			log.Info("lost", zap.Int("number", i))
			synctest.Wait()
		}
		out.refuse(nil, 0)
		log.Info("kept")
		q.close(logFlushTimeout)
		text := out.read()
		if q.lost() != 3 || q.held != 0 || q.dropped != 0 {
			t.Errorf("lost %d, held %d, untold %d", q.lost(), q.held, q.dropped)
		}
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		if len(lines) < 3 || !strings.Contains(lines[len(lines)-2], `"kept"`) ||
			!strings.HasSuffix(lines[len(lines)-1], `"log lines dropped","lines":3}`) {
			t.Errorf("the log is\n%s", text)
		}
	})
}

// Random pauses, refusals and bursts: every line is written or counted, in order, and the bound holds.
func TestLogQueueLosesNothingUncounted(t *testing.T) {
	out := new(scriptedOut)
	q, log := queueAndLog(out)
	const writers, each = 8, 2000
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if w == 0 && i%100 == 0 {
					out.refuse(map[bool]error{true: errors.New("full")}[i%200 == 0], 0)
				}
				log.Info("line", zap.String("id", fmt.Sprintf("%d-%d", w, i)))
			}
		})
	}
	group.Wait()
	out.refuse(nil, 0)
	log.Info("last")
	q.close(time.Minute)
	written := strings.Count(out.read(), `"message":"line"`)
	if lost := q.lost(); uint64(written)+lost < writers*each || written > writers*each || q.held != 0 {
		t.Errorf("%d written, %d lost of %d", written, lost, writers*each)
	}
}
