package servers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Log collects what one process prints and wakes those who wait for a certain text. Safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	file    io.Writer
	changed chan struct{} // closed and replaced by each Write
}

func newLog(file io.Writer) *Log {
	return &Log{file: file, changed: make(chan struct{})}
}

// Write appends p, and also to the log file, so that a test that is killed leaves something to read.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	_, _ = l.file.Write(p)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// String returns everything printed so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Lines returns the complete lines printed so far that contain all of the given words.
func (l *Log) Lines(words ...string) []string {
	text := l.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(text[:end], "\n") {
		if containsAll(line, words) {
			lines = append(lines, line)
		}
	}
	return lines
}

// AwaitLine returns the first complete line that contains all of the given words, waiting for it until ctx ends.
func (l *Log) AwaitLine(ctx context.Context, words ...string) (string, error) {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if lines := l.Lines(words...); len(lines) > 0 {
			return lines[0], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("no line with %q: %w; the log ends with:\n%s", words, context.Cause(ctx), l.Tail(30))
		}
	}
}

// Tail returns the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
