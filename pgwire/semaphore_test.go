package pgwire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestSemaphore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l semaphore
		ctx := t.Context()
		for range 2 {
			if err := l.acquire(ctx, 2, 3); err != nil {
				t.Fatal(err)
			}
		}
		came := make(chan int, 4)
		leaving, leave := context.WithCancel(ctx)
		for i, ctx := range []context.Context{ctx, leaving, ctx} {
			go func() {
				if l.acquire(ctx, 2, 3) == nil {
					came <- i
				} else {
					came <- -i
				}
			}()
			synctest.Wait()
		}
		if err := l.acquire(ctx, 2, 3); !errors.Is(err, errQueueFull) {
			t.Errorf("a fourth in the line: %v", err)
		}
		leave()
		if got := <-came; got != -1 {
			t.Errorf("%d, want the second to leave", got)
		}
		for _, want := range []int{0, 2} {
			l.release()
			if got := <-came; got != want {
				t.Errorf("%d came in, want %d", got, want)
			}
		}
		l.release()
		l.release()
		if l.held != 0 || l.waiting.Len() != 0 {
			t.Errorf("%d inside and %d waiting in the end", l.held, l.waiting.Len())
		}
	})
}
