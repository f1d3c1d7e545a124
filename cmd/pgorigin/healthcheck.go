package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthcheckTimeout is below the second that a kubelet gives an exec probe, with time for the process to start.
const healthcheckTimeout = 900 * time.Millisecond

// maxHealthBody bounds how much of an answer is read and repeated: something else may listen on that port.
const maxHealthBody = 1 << 10

// runHealthcheck is silent when all is well, so that it can be a container's health command in an image without shell.
func runHealthcheck(ctx context.Context, p process) int {
	var ready bool
	code, done := p.parseFlags("healthcheck", func(flags *flag.FlagSet) {
		flags.BoolVar(&ready, "ready", false, "")
	})
	if done {
		return code
	}
	s, _, problems := load(p.env)
	for _, wrong := range problems {
		if wrong.variable == prefix+"HEALTH_ADDR" {
			report(p.stderr, []problem{wrong})
			return exitConfig
		}
	}
	if s.HealthAddr == "" {
		printf(p.stderr, "pgorigin: %sHEALTH_ADDR=off: there is nothing to ask; set it to an address such as 127.0.0.1:9632\n", prefix)
		return exitFailed
	}
	path := "/livez"
	if ready {
		path = "/readyz"
	}
	if err := askHealth(ctx, "http://"+dialable(string(s.HealthAddr))+path); err != nil {
		printf(p.stderr, "pgorigin: healthcheck: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// askHealth returns nil for an answer of 200.
func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	// A transport of our own: the default one obeys HTTP_PROXY.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthBody))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", url, err)
	}
	reasons := strings.Join(strings.Split(strings.TrimSpace(string(body)), "\n"), "; ")
	return fmt.Errorf("%s answered %d: %s", url, resp.StatusCode, printable(reasons))
}

// dialable replaces a host that stands for every address of this machine by one of them.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, every := localIP(host); every {
		if ip.Is6() {
			return net.JoinHostPort("::1", port)
		}
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
