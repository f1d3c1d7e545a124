//go:build !unix

package execute

import (
	"fmt"
	"os"
)

// child is the command that runs.
type child struct {
	process *os.Process
	stops   chan bool // nothing is sent
	ended   chan end  // receives one
}

// startChild starts the program at path.
func startChild(path string, argv, env []string) (*child, error) {
	process, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	c := &child{process: process, stops: make(chan bool), ended: make(chan end, 1)}
	go func() {
		state, err := process.Wait()
		if err != nil {
			c.ended <- end{code: exitCannotStart}
			return
		}
		c.ended <- end{code: state.ExitCode()}
	}()
	return c, nil
}

// signal ends the child if that is what sig asks for. There are no other signals.
func (c *child) signal(sig os.Signal) {
	if sig == sigTerminate {
		_ = c.process.Kill()
	}
}

func isFormatError(error) bool { return false }
