package check

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// listenAddr is a TCP address that run would listen on.
type listenAddr struct{ variable, addr string }

// listenAddrs returns the addresses of clients and that of the health endpoints. Sockets are not among them:
// run replaces its own dead ones.
func (c *checker) listenAddrs() []listenAddr {
	var all []listenAddr
	for _, o := range c.settings.AllOrigins() {
		for _, addr := range o.Listen.Addr {
			all = append(all, listenAddr{o.Variable("LISTEN_ADDR"), addr})
		}
	}
	if !c.settings.HealthAddr.Off() {
		all = append(all, listenAddr{config.Prefix + "HEALTH_ADDR", string(c.settings.HealthAddr)})
	}
	return slices.DeleteFunc(all, func(l listenAddr) bool { return strings.HasPrefix(l.addr, config.UnixScheme) })
}

// checkListen says whether run could listen. A pgorigin with the same settings may be the one that does.
func (c *checker) checkListen(ctx context.Context) Stage {
	stage := newStage(advice.StageListen, 0, "")
	var free, held []string
	for _, l := range c.listenAddrs() {
		err := host.Bindable(l.addr)
		switch {
		case err == nil:
			free = append(free, l.addr)
		case errors.Is(err, syscall.EADDRINUSE) && c.heldByPgorigin(ctx, l.addr):
			held = append(held, l.addr)
		case errors.Is(err, syscall.EADDRINUSE) && c.settings.HealthAddr.Off():
			stage.Result = resultWarning
			stage.Text = l.addr + " is taken, perhaps by a pgorigin that runs: {HEALTH_ADDR} is off, so it cannot be asked"
			stage.Text = c.settings.Fill(stage.Text)
			return stage
		default:
			stage.fail(advice.Finding{
				Text:  l.variable + ": " + safetext.Printable(err.Error()),
				Cures: []string{sentence(host.ListenCure(l.variable, l.addr, err))},
			})
			return stage
		}
	}
	var texts []string
	if len(free) > 0 {
		texts = append(texts, strings.Join(free, ", ")+" free")
	}
	if len(held) > 0 {
		texts = append(texts, strings.Join(held, ", ")+" held by pgorigin")
	}
	stage.Text = strings.Join(texts, "; ")
	return stage
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

const (
	// askTimeout bounds the question to a pgorigin that runs on this machine.
	askTimeout = time.Second
	// maxStatus bounds its answer.
	maxStatus = 1 << 20
)

// heldByPgorigin reports whether a pgorigin answers at HEALTH_ADDR that listens on addr. Its answer is
// believed: nothing but a word in the report depends on it.
func (c *checker) heldByPgorigin(ctx context.Context, addr string) bool {
	if c.settings.HealthAddr.Off() {
		return false
	}
	health := string(c.settings.HealthAddr)
	listens, ok := askListens(ctx, health)
	return ok && (addr == health || slices.ContainsFunc(listens, func(bound string) bool {
		return portOf(bound) == portOf(addr) // the host may be a name, or every address
	}))
}

// askListens asks a pgorigin for the addresses on which it listens.
func askListens(ctx context.Context, health string) (addrs []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	hostName, port, _ := net.SplitHostPort(health) // config has checked it
	if ip, every := config.LocalIP(hostName); every {
		hostName = "127.0.0.1"
		if ip.Is6() {
			hostName = "::1"
		}
	}
	where := "http://" + net.JoinHostPort(hostName, port) + "/statusz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return nil, false
	}
	// The default transport would use HTTP_PROXY.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return nil, false
	}
	defer func() { _ = response.Body.Close() }()
	var status struct {
		Version string `json:"version"`
		Origins []struct {
			Listen []string `json:"listen"`
		} `json:"origins"`
	}
	if json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&status) != nil {
		return nil, false
	}
	for _, o := range status.Origins {
		addrs = append(addrs, o.Listen...)
	}
	return addrs, status.Version != "" && len(addrs) > 0
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // empty for a socket
	return port
}
