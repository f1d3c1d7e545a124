//go:build hostile

package hostile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// verdict says what a client made of a login.
type verdict struct {
	ID        int    `json:"id"`
	Connected bool   `json:"connected"` // the client believes that it is logged in
	Answered  bool   `json:"answered"`  // and its query was answered
	Error     string `json:"error"`
	Late      bool   `json:"-"` // it had to be cut off
}

// drivers are the judges behind pgorigin; psql is libpq.
var drivers = []string{"psql", "pgx", "pq", "node"}

// login runs one login by a driver over plaintext to addr. application goes into the startup packet.
func login(ctx context.Context, driver, addr, application string) verdict {
	dsn := servers.DSN(addr, "application_name="+application)
	switch driver {
	case "psql":
		return psql(ctx, nil, dsn)
	case "node":
		host, port, _ := net.SplitHostPort(addr)
		return shared.judges.node.ask(ctx, map[string]any{
			"host": host, "port": port, "user": servers.User, "password": servers.Password,
			"database": servers.Database, "application": application,
		})
	}
	return shared.judges.golang.ask(ctx, map[string]any{"driver": driver, "dsn": dsn})
}

// psql says whether it was logged in before it asks anything.
func psql(ctx context.Context, env []string, dsn string) verdict {
	cmd := shared.lab.Psql(ctx, dsn, "-At", "-c", `\echo connected`, "-c", "SELECT 1")
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = time.Second
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	v := verdict{
		Connected: strings.HasPrefix(out.String(), "connected\n"), Answered: strings.HasSuffix(out.String(), "\n1\n"),
		Error: strings.TrimSpace(problems.String()), Late: ctx.Err() != nil,
	}
	if err != nil && v.Error == "" {
		v.Error = err.Error()
	}
	return v
}

// direct is psql with libpq 18 and its own TLS, verified as pgorigin does it.
func direct(ctx context.Context, addr, application string, options ...string) verdict {
	dsn := servers.DSN(addr, append([]string{
		"application_name=" + application, "sslmode=verify-full", "sslrootcert=" + shared.lab.CAFile,
	}, options...)...)
	return psql(ctx, []string{"LD_LIBRARY_PATH=" + shared.libpq18}, dsn)
}

// judges are the drivers that are programs of their own and judge many logins.
type judges struct{ golang, node *judge }

func startJudges(cache string) (*judges, error) {
	golang, errGo := startJudge(filepath.Join(cache, "go/bin/login"))
	node, errNode := startJudge("node", filepath.Join(cache, "node/login.mjs"))
	return &judges{golang, node}, errors.Join(errGo, errNode)
}

// judge is a running program, which ends when this one does: its standard input ends then.
type judge struct {
	mu    sync.Mutex
	in    io.Writer
	last  int
	waits map[int]chan verdict
}

func startJudge(name string, args ...string) (*judge, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + shared.lab.Dir()}
	cmd.Stderr = io.Discard // node-postgres throws at some of the things that a test sends it
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		return nil, fmt.Errorf("start judge: %w", err)
	}
	j := &judge{in: in, waits: map[int]chan verdict{}}
	go j.read(out)
	return j, nil
}

func (j *judge) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var v verdict
		if json.Unmarshal(lines.Bytes(), &v) != nil {
			continue
		}
		j.mu.Lock()
		if wait := j.waits[v.ID]; wait != nil {
			wait <- v
			delete(j.waits, v.ID)
		}
		j.mu.Unlock()
	}
}

// ask judges one login. A driver that stumbles and never says anything is cut off by ctx.
func (j *judge) ask(ctx context.Context, attempt map[string]any) verdict {
	wait := make(chan verdict, 1)
	j.mu.Lock()
	j.last++
	attempt["id"] = j.last
	j.waits[j.last] = wait
	line, err := json.Marshal(attempt)
	if err == nil {
		_, err = j.in.Write(append(line, '\n'))
	}
	j.mu.Unlock()
	if err != nil {
		return verdict{Error: err.Error(), Late: true}
	}
	select {
	case v := <-wait:
		return v
	case <-ctx.Done():
		return verdict{Error: "no verdict", Late: true}
	}
}
