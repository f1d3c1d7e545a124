package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain lets many tests run at once, whatever the machine has: those that are parallel mostly wait for
// timeouts.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
