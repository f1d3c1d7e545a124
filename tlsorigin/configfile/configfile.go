// Package configfile reads configured files. The mount of a file may not answer, and a path may not lead to a
// regular file.
//
// It knows paths and time. It must not know what a file holds. Start with Read, which reads one file, and
// Reader, which does not wait for ever.
package configfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// Timeout is how long a reading may take before its file counts as stalled.
const Timeout = 10 * time.Second

// ErrStalled is the error of a reading that has not ended within Timeout.
var ErrStalled = fmt.Errorf("has not been read within %v; is it on a network mount whose server is away?",
	Timeout)

// Read returns the content and the mode of a regular file of at most limit bytes. It follows symbolic links.
// It refuses everything else unopened: a pipe or a device may block for ever, gives its content only once, or
// changes when it is read. The error names no path.
func Read(path string, limit int64) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // by now it could be a pipe
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if info.Size() > limit {
		return nil, 0, tooLarge(limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // files of /proc have no size
	switch {
	case err != nil:
		return nil, 0, withoutPath(err)
	case int64(len(data)) > limit:
		return nil, 0, tooLarge(limit)
	}
	return data, info.Mode(), nil
}

func tooLarge(limit int64) error {
	if limit >= 1<<20 {
		return fmt.Errorf("is larger than %d MiB", limit>>20)
	}
	return fmt.Errorf("is larger than %d KiB", limit>>10)
}

// notRegular is the error of a file that is not to be read.
type notRegular struct{ what string }

func (e notRegular) Error() string { return "is " + e.what + ", but has to be a regular file" }

func regular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return notRegular{"a directory"}
	case mode&fs.ModeNamedPipe != 0:
		return notRegular{"a pipe"}
	case mode&fs.ModeSocket != 0:
		return notRegular{"a socket"}
	case mode&fs.ModeDevice != 0:
		return notRegular{"a device"}
	}
	return notRegular{"something else"}
}

// withoutPath drops the path that package os adds.
func withoutPath(err error) error {
	var pathError *fs.PathError
	switch {
	case errors.As(err, new(notRegular)):
		return err
	case errors.As(err, &pathError):
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// Reader makes readings that may hang, one at a time. The zero value is ready to use. Its methods may be
// called concurrently.
type Reader[T any] struct {
	mu      sync.Mutex
	running *reading[T] // nil means that none is under way
}

type reading[T any] struct {
	began time.Time
	ended chan struct{} // closed when value is there
	value T
}

// Do returns what read returns. The error is ErrStalled if that takes longer than Timeout, and
// context.Cause(ctx) if ctx ends first. Calls that overlap share one reading. A reading that hangs keeps its
// goroutine, and every call fails at once until it ends.
func (r *Reader[T]) Do(ctx context.Context, read func() T) (T, error) {
	current := r.join(read)
	var none T
	select {
	case <-current.ended: // however late it is
		return current.value, nil
	default:
	}
	timer := time.NewTimer(Timeout - time.Since(current.began))
	defer timer.Stop()
	select {
	case <-current.ended:
		return current.value, nil
	case <-timer.C:
		return none, ErrStalled
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// join returns the running reading, or begins one.
func (r *Reader[T]) join(read func() T) *reading[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running != nil {
		return r.running
	}
	current := &reading[T]{began: time.Now(), ended: make(chan struct{})}
	r.running = current
	go func() {
		withoutSignals(func() { current.value = read() })
		r.mu.Lock()
		r.running = nil
		r.mu.Unlock()
		close(current.ended)
	}()
	return current
}
