package servers

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// RunSuite runs the tests of a package in a Lab of its own, for TestMain. start starts what the tests share.
func RunSuite(m *testing.M, start func(ctx context.Context, lab *Lab) error) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	lab, err := NewLab(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the suite:", err)
		return 1
	}
	defer func() {
		if err := lab.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "end the suite:", err)
			code = 1
		}
	}()
	if err := start(ctx, lab); err != nil {
		fmt.Fprintln(os.Stderr, "start the suite:", err)
		return 1
	}
	return m.Run()
}
