package execute

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/sidecar"
)

// Exit codes of shells and of programs such as env.
const (
	exitCannotStart = 126
	exitNotFound    = 127
	exitSignal      = 128 // plus the number of the signal
)

// startTime is how long after the start of the child a signal may turn up that came before it.
const startTime = 50 * time.Millisecond

// resumeAfter is how long a child that SIGCONT has reached may take to continue. If it does not, SIGCONT has
// reached pgorigin alone.
const resumeAfter = 100 * time.Millisecond

// settleTime is how long the sessions of a command that has ended may take to end, too. What is left then
// belongs to processes that it has left behind.
const settleTime = 250 * time.Millisecond

// Options are the flags of "pgorigin exec".
type Options struct {
	URLEnv []string // variables that may hold a URL
	Named  bool     // each of URLEnv must be set, because somebody named it
	Listen Listen
}

// execution is one run of "pgorigin exec".
type execution struct {
	signals chan os.Signal // what reaches this process
	tell    chan os.Signal // tells the sidecar to begin the next step of its end
	reload  chan os.Signal // tells the sidecar to read changed files
	up      chan struct{}  // is closed when the sidecar serves
	ended   chan int       // receives the exit code of the sidecar

	child   *child
	started time.Time // when the child was started
	stopped bool      // the child is stopped, as by Ctrl-Z
	changed time.Time // when it was stopped or went on last
}

// Run connects the command to the database and returns the exit code: that of the command, if it could be
// started. The end of ctx means the same as SIGTERM. If a signal has ended the command, it ends this process,
// too, where that is possible: a shell ends a loop at Ctrl-C only then.
func Run(ctx context.Context, p cli.Process, o Options, command []string) int {
	end := run(ctx, p, o, command)
	if end.signal != 0 {
		dieOf(end.signal)
	}
	return end.code
}

// end is how the command ended, or why it was not started.
type end struct {
	code   int
	signal int // that has ended it; zero: none
}

// diedOf is the end by a signal.
func diedOf(signal int) end { return end{exitSignal + signal, signal} }

func run(ctx context.Context, p cli.Process, o Options, command []string) end {
	defer observe.QueueOnlyStderr(&p)()
	path, err := findCommand(command[0])
	if err != nil {
		return end{code: reportCommand(p, command[0], err)}
	}
	plan, problems := newPlan(p.Env, o)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return end{code: cli.ExitConfig}
	}
	e := &execution{
		signals: catchSignals(),
		tell:    make(chan os.Signal, 2), reload: make(chan os.Signal, 1),
		up: make(chan struct{}), ended: make(chan int, 1),
	}
	places, err := openPlaces(ctx, p.Env, plan)
	if err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: exec: %v\n", err)
		return end{code: cli.ExitFailed}
	}
	defer places.close()
	p.Env, p.Names = places.sidecarEnv(plan), plan.names
	e.serve(ctx, p, places.listeners, plan.warnings)
	if early, ok := e.awaitUp(ctx); !ok {
		return early
	}
	if e.child, err = startChild(path, command, places.childEnv(plan)); err != nil {
		e.endSidecar(errors.New("the command cannot be started"))
		return end{code: reportCommand(p, command[0], err)}
	}
	e.started = time.Now()
	ended := e.awaitChild(ctx, p)
	e.endSidecar(errors.New("the command has ended"))
	return ended
}

// serve runs the sidecar beside everything else. It speaks to no service manager: the command may.
func (e *execution) serve(
	ctx context.Context, p cli.Process, listeners map[string]net.Listener, warnings []config.Warning,
) {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	around := sidecar.Surroundings{
		Signals: e.tell, Hangups: e.reload, Listeners: listeners, Warnings: warnings,
		Up: func() { close(e.up) }, FilesExist: true, Settle: settleTime,
	}
	go func() { e.ended <- sidecar.Serve(context.WithoutCancel(ctx), p, around) }()
}

// awaitUp waits until clients can connect. If that fails, or if a signal comes first, it returns the end.
func (e *execution) awaitUp(ctx context.Context) (early end, ok bool) {
	for {
		select {
		case <-e.up:
			return end{}, true
		case code := <-e.ended:
			return end{code: code}, false
		case sig := <-e.signals:
			if !endsProcess(sig) {
				continue
			}
			early = diedOf(numberOf(sig))
		case <-ctx.Done():
		}
		e.endSidecar(errors.New("a signal came before the command was started"))
		return early, false
	}
}

// awaitChild passes signals on until the child ends.
func (e *execution) awaitChild(ctx context.Context, p cli.Process) end {
	done, served := ctx.Done(), e.ended
	resume := time.NewTimer(resumeAfter)
	resume.Stop() // until SIGCONT comes
	defer resume.Stop()
	for {
		select {
		case ended := <-e.child.ended:
			return ended
		case e.stopped = <-e.child.stops:
			e.changed = time.Now()
		case sig := <-e.signals:
			e.pass(sig, resume)
		case <-resume.C:
			if e.stopped {
				e.child.signal(sigContinue)
			}
		case <-done:
			done = nil
			e.child.signal(sigTerminate)
		case code := <-served:
			served = nil
			e.ended <- code // for endSidecar
			fmt.Fprintln(p.Stderr, "pgorigin: exec: clients cannot connect any more; the command goes on")
		}
	}
}

// cause is a reason to end that takes the place of a signal.
type cause struct{ error }

// String is for the log.
func (c cause) String() string { return c.Error() }

// Signal makes cause an os.Signal.
func (cause) Signal() {}

// endSidecar ends the sidecar, and waits for the last sessions. They belong to processes that the command has
// left behind. A signal cuts the wait short.
func (e *execution) endSidecar(why error) {
	e.tell <- cause{why}
	for {
		select {
		case <-e.ended:
			return
		case sig := <-e.signals:
			if !endsProcess(sig) {
				continue
			}
			select {
			case e.tell <- sig:
			default: // it knows
			}
		}
	}
}
