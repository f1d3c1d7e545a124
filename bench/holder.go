package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// holder is a program that holds sessions: a process of its own, for its descriptors.
type holder struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
}

func (s *stage) newHolder(ctx context.Context, dsn string) (*holder, error) {
	h := &holder{cmd: exec.CommandContext(ctx, s.hold, dsn)}
	in, errIn := h.cmd.StdinPipe()
	answers, errOut := h.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, fmt.Errorf("start holder of sessions: %w", err)
	}
	h.in, h.answers = in, bufio.NewReader(answers)
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start holder of sessions: %w", err)
	}
	return h, nil
}

// open brings the number of sessions to count and runs query in each new one.
func (h *holder) open(count int, query string) error {
	if _, err := io.WriteString(h.in, strconv.Itoa(count)+" "+query+"\n"); err != nil {
		return fmt.Errorf("ask holder of sessions: %w", err)
	}
	answer, err := h.answers.ReadString('\n')
	if err != nil {
		return fmt.Errorf("ask holder of sessions: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return errors.New(answer)
	}
	return nil
}

// Close ends the program, and by that the sessions.
func (h *holder) Close() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}
