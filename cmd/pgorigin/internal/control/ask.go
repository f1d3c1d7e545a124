package control

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const (
	// probeTimeout leaves time to start the process: a kubelet gives an exec probe one second.
	probeTimeout = 900 * time.Millisecond
	// orderTimeout is for a command that a person waits for.
	orderTimeout = 10 * time.Second
)

// maxAnswer bounds what is read and repeated of an answer: another program may listen on that port.
const maxAnswer = 1 << 10

// addrToAsk returns the address in a variable. It ignores problems with other variables. If there is no
// address, it says so, done is true, and the command ends with code.
func addrToAsk(
	p cli.Process, variable, example string, read func(*config.Config) config.Endpoint,
) (addr string, code int, done bool) {
	s, _, problems := config.Load(p.Env)
	for _, wrong := range problems {
		if wrong.Variable == variable {
			config.Report(p.Stderr, []config.Problem{wrong})
			return "", cli.ExitConfig, true
		}
	}
	endpoint := read(&s)
	if endpoint.Off() {
		fmt.Fprintf(p.Stderr, "pgorigin: %s=off: there is nothing to ask; "+
			"set it, here and for the pgorigin that runs, to an address such as %s\n", variable, example)
		return "", cli.ExitFailed, true
	}
	return string(endpoint), cli.ExitOK, false
}

func healthToAsk(p cli.Process) (addr string, code int, done bool) {
	return addrToAsk(p, config.Prefix+"HEALTH_ADDR", "127.0.0.1:9632",
		func(s *config.Config) config.Endpoint { return s.HealthAddr })
}

// ask makes one request to a pgorigin on addr, which is host:port or unix:/path, within a time limit. If the
// status is not 200, the error has the text of the answer.
func ask(ctx context.Context, within time.Duration, method, addr, path string) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	host, where := dialable(addr), "http://"+dialable(addr)+path
	if strings.HasPrefix(addr, config.UnixScheme) {
		host, where = "localhost", path+" on "+addr
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	// The default transport would use HTTP_PROXY.
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialAny(ctx, addr)
		},
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", where, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", where, err)
	}
	reasons := strings.Join(strings.Split(strings.TrimSpace(string(body)), "\n"), "; ")
	return fmt.Errorf("%s answered %d: %s", where, resp.StatusCode, safetext.Printable(reasons))
}

// dialAny connects to host:port or unix:/path.
func dialAny(ctx context.Context, addr string) (net.Conn, error) {
	if socket, ok := strings.CutPrefix(addr, config.UnixScheme); ok {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", dialable(addr))
}

// dialable replaces a host that means every address of this machine by a loopback address.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, every := config.LocalIP(host); every {
		if ip.Is6() {
			return net.JoinHostPort("::1", port)
		}
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
