package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// direction is one way of COPY, as the tables name it.
type direction string

const (
	copyOut direction = "COPY out"
	copyIn  direction = "COPY in"
)

// sql moves the bulk table. What comes in, the server parses and discards, so that no disk is measured.
func (d direction) sql() string {
	if d == copyIn {
		return "COPY bulk FROM STDIN WHERE false"
	}
	return "COPY bulk TO STDOUT"
}

func copying(d direction, upstream string) situation {
	measure := func(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
		first, last, err := s.copyBulk(ctx, t, d, nil)
		if err != nil {
			return nil, err
		}
		gigabytes := s.bulkBytes() / 1e9
		return []float64{
			t.ofTunnel((last.cpu - first.cpu).Seconds() / gigabytes), 1000 * gigabytes / last.at.Sub(first.at).Seconds(),
		}, nil
	}
	return situation{name: string(d) + ", " + upstream, upstream: upstream, measure: measure}
}

func countedCopy(d direction, upstream string) situation {
	measure := func(ctx context.Context, s *stage, t *tunnel) ([]float64, error) {
		return counted(t, func(calls *callCounter) (float64, error) {
			first, last, err := s.copyBulk(ctx, t, d, calls)
			return (last.calls - first.calls) / s.bulkBytes() * 1e9, err
		})
	}
	return situation{name: "per GB, " + string(d) + ", " + upstream, upstream: upstream, measure: measure}
}

// copyBulk copies the bulk table through t once, by the account that every row can log in with.
func (s *stage) copyBulk(ctx context.Context, t *tunnel, d direction, calls *callCounter) (first, last mark, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := s.lab.Psql(ctx, t.dsn("user="+md5User), "-q", "-v", "ON_ERROR_STOP=1", "-c", d.sql())
	if d == copyIn {
		file, err := os.Open(s.bulkFile)
		if err != nil {
			return first, last, fmt.Errorf("read rows: %w", err)
		}
		defer func() { _ = file.Close() }()
		cmd.Stdin = file
	}
	var problem bytes.Buffer
	cmd.Stderr = &problem
	if first, err = take(t.process, calls); err != nil {
		return first, last, err
	}
	if err := cmd.Run(); err != nil { // with no Stdout, psql has /dev/null
		return first, last, fmt.Errorf("run psql: %w\n%s", err, problem.String())
	}
	last, err = take(t.process, calls)
	return first, last, err
}

// writeBulkFile makes the file that COPY in sends, which is what COPY out prints.
func (s *stage) writeBulkFile(ctx context.Context) error {
	s.bulkFile = filepath.Join(s.lab.Dir(), "bulk.txt")
	file, err := os.Create(s.bulkFile)
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	cmd := s.lab.Psql(ctx, s.directDSN(s.postgres.Addr), "-q", "-c", copyOut.sql())
	cmd.Stdout = file
	if err := errors.Join(cmd.Run(), file.Close()); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	info, err := os.Stat(s.bulkFile)
	if err == nil && float64(info.Size()) != s.bulkBytes() {
		err = fmt.Errorf("%d bytes instead of %.0f", info.Size(), s.bulkBytes())
	}
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}
