package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// span is how long something is measured in one round.
func (s *stage) span() time.Duration {
	if s.quick {
		return 100 * time.Millisecond
	}
	return 2 * time.Second
}

func transactions(clients int) situation {
	measure := func(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
		w, err := s.drive(ctx, t, load{clients: clients, span: s.span(), args: []string{"-S"}}, nil)
		if err != nil {
			return nil, err
		}
		return []float64{w.perSecond(), t.ofTunnel(w.cpuPer())}, nil
	}
	return situation{name: strconv.Itoa(clients) + " clients", upstream: viaPgBouncer, measure: measure}
}

// calmRate is how many transactions a quiet application does in a second.
const calmRate = 100

func calm(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
	w, err := s.drive(ctx, t, load{clients: 4, span: 2 * s.span(), args: []string{"-S", "-R", strconv.Itoa(calmRate)}}, nil)
	if err != nil {
		return nil, err
	}
	return []float64{t.ofTunnel(w.cpuPer())}, nil
}

func latency(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
	script, err := s.script("SELECT 1;\n")
	if err != nil {
		return nil, err
	}
	w, err := s.drive(ctx, t, load{clients: 1, span: s.span(), args: []string{"-f", script}}, nil)
	if err != nil {
		return nil, err
	}
	return []float64{micros(quantile(w.latencies, 0.5)), micros(quantile(w.latencies, 0.99))}, nil
}

// countedTransactions counts the system calls of transactions. It has a run of its own, because counting costs a little.
func countedTransactions(clients int) situation {
	measure := func(ctx context.Context, s *stage, t *tunnel) (values []float64, err error) {
		return counted(t, func(calls *callCounter) (float64, error) {
			w, err := s.drive(ctx, t, load{clients: clients, span: s.span(), args: []string{"-S"}}, calls)
			if err != nil {
				return 0, err
			}
			return w.calls / float64(len(w.latencies)), nil
		})
	}
	return situation{name: fmt.Sprintf("per transaction, %d clients", clients), upstream: viaPgBouncer, measure: measure}
}

// counted runs measure with a counter of the tunnel's system calls.
func counted(t *tunnel, measure func(*callCounter) (float64, error)) (values []float64, err error) {
	if t.process == nil {
		return []float64{t.ofTunnel(0)}, nil
	}
	calls, err := countCalls(t.process.PID())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	value, err := measure(calls)
	return []float64{value}, err
}

// script writes a script of pgbench and returns its path; the Lab removes it.
func (s *stage) script(text string) (string, error) {
	file, err := os.CreateTemp(s.lab.Dir(), "script-")
	if err != nil {
		return "", fmt.Errorf("write script of pgbench: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write script of pgbench: %w", err)
	}
	return file.Name(), nil
}
