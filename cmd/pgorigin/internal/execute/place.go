package execute

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/pgurl"
)

// Listen is how the command connects to pgorigin.
type Listen string

// The ways. ListenAuto takes a Unix socket if every driver can use it, and TCP if not.
const (
	ListenAuto   Listen = "auto"
	ListenSocket Listen = "socket"
	ListenTCP    Listen = "tcp"
)

const (
	// socketFile begins the name of a socket. libpq adds the port.
	socketFile = ".s.PGSQL."
	// firstPort is the port of the first socket. It is a part of the name only.
	firstPort = 5432
	// maxSocketPath is what every system takes. Linux takes 107.
	maxSocketPath = 103
)

// places are where the command connects, one for each origin.
type places struct {
	folder    string                  // with the sockets; empty: none
	listeners map[string]net.Listener // on loopback ports, by address
	addrs     []string                // LISTEN_ADDR, by the index of the origin
	at        []pgurl.Place
}

// openPlaces makes a place for each origin. A port is bound, so that nobody else gets it.
func openPlaces(ctx context.Context, env []string, plan *plan) (*places, error) {
	p := &places{listeners: map[string]net.Listener{}}
	sockets := plan.listen == ListenSocket
	if sockets || plan.listen == ListenAuto && plan.canUseSockets() {
		err := p.makeFolder(env, len(plan.origins))
		if err != nil && sockets {
			return nil, fmt.Errorf("--listen=socket: %w; use --listen=tcp, or set TMPDIR to a folder that you may "+
				"write to", err)
		}
		sockets = err == nil
	}
	for i, o := range plan.origins {
		if err := p.open(ctx, o, i, sockets); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// canUseSockets reports whether every driver can connect to a Unix socket, as far as that is known. The
// command of root may become another user, who could not open it.
func (p *plan) canUseSockets() bool {
	return host.HasUnixSockets && os.Geteuid() > 0 &&
		!slices.ContainsFunc(p.urls, func(l link) bool { return !l.url.UsesSockets() })
}

// makeFolder makes a folder that only this user may enter.
func (p *places) makeFolder(env []string, sockets int) error {
	if !host.HasUnixSockets {
		return errors.New("this system has no Unix sockets that only one user may open")
	}
	var errs []error
	for _, parent := range []string{host.Getenv(env, "XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"} {
		if !filepath.IsAbs(parent) {
			continue
		}
		folder, err := os.MkdirTemp(parent, "pgorigin-") // with mode 0700, or less by the umask
		if err == nil {
			err = os.Chmod(folder, 0o700)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(socketPath(folder, sockets-1)) <= maxSocketPath {
			p.folder = folder
			return nil
		}
		_ = os.Remove(folder)
		errs = append(errs, fmt.Errorf("%s is too long for the path of a socket", parent))
	}
	return errs[0]
}

func socketPath(folder string, i int) string {
	return filepath.Join(folder, socketFile+strconv.Itoa(firstPort+i))
}

// open makes the place of one origin. A LISTEN_ADDR that is set takes precedence.
func (p *places) open(ctx context.Context, o *origin, i int, sockets bool) error {
	addr := "127.0.0.1:0"
	switch {
	case o.listen != "":
		place, err := placeOf(o.bound.Listen.Addr[0])
		p.add(o.listen, place)
		return err
	case sockets:
		path := socketPath(p.folder, i)
		p.add(config.UnixScheme+path, pgurl.Place{Host: p.folder, Port: strconv.Itoa(firstPort + i)})
		return nil
	}
	ln, err := host.TCPListenConfig(true).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	addr = ln.Addr().String()
	p.listeners[addr] = ln
	place, err := placeOf(addr)
	p.add(addr, place)
	return err
}

func (p *places) add(addr string, place pgurl.Place) {
	p.addrs, p.at = append(p.addrs, addr), append(p.at, place)
}

// placeOf returns how clients reach a listener on addr.
func placeOf(addr string) (pgurl.Place, error) {
	if strings.HasPrefix(addr, config.UnixScheme) {
		path, err := config.SocketPath(addr)
		if err != nil {
			return pgurl.Place{}, err
		}
		port, ok := strings.CutPrefix(filepath.Base(path), socketFile)
		if !ok {
			return pgurl.Place{}, fmt.Errorf("clients find no socket with the name %s; name the folder alone in %s",
				filepath.Base(path), config.Prefix+"LISTEN_ADDR")
		}
		return pgurl.Place{Host: filepath.Dir(path), Port: port}, nil
	}
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return pgurl.Place{}, fmt.Errorf("address %s: %w", addr, err)
	}
	if _, every := config.LocalIP(name); every {
		name = "127.0.0.1"
	}
	return pgurl.Place{Host: name, Port: port}, nil
}

// sidecarEnv returns the variables of the sidecar that listens there.
func (p *places) sidecarEnv(plan *plan) []string {
	env := slices.Clone(plan.env)
	for i, o := range plan.origins {
		env = replace(env, o.prefix+"LISTEN_ADDR", p.addrs[i])
	}
	return env
}

// close frees the ports and removes the sockets, whether the sidecar has done so or not.
func (p *places) close() {
	for _, ln := range p.listeners {
		_ = ln.Close()
	}
	if p.folder != "" {
		_ = os.RemoveAll(p.folder)
	}
}
