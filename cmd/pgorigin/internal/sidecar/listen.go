package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// listen binds every address before anything is announced, so that a port in use is an error and not a
// half-started process. An address that turns out to be reachable from elsewhere is a configuration problem.
func (in *instance) listen(ctx context.Context, p cli.Process) int {
	for _, o := range in.origins {
		if code := in.listenFor(ctx, p, o); code != cli.ExitOK {
			return code
		}
	}
	if addr := in.settings.HealthAddr; !addr.Off() {
		ln, err := in.bind(ctx, string(addr), config.Prefix+"HEALTH_ADDR", 0, zap.Skip()) // never a socket
		if err != nil {
			return cli.ExitFailed
		}
		in.probes = ln
	}
	return in.listenForAdmin(ctx, p)
}

// listenForAdmin binds the admin address, if there is one.
func (in *instance) listenForAdmin(ctx context.Context, p cli.Process) int {
	addr, variable := string(in.settings.AdminAddr), config.Prefix+"ADMIN_ADDR"
	if in.settings.AdminAddr.Off() {
		return cli.ExitOK
	}
	ln, err := in.bind(ctx, addr, variable, adminSocketMode, zap.Skip())
	if err != nil {
		return cli.ExitFailed
	}
	in.admin = ln
	if config.OnlyHere(ln.Addr()) {
		return cli.ExitOK
	}
	return in.boundTooWide(p, variable, addr, ln)
}

// boundTooWide complains about a name, such as localhost, that stands for an address which others can reach.
func (in *instance) boundTooWide(p cli.Process, variable, addr string, ln net.Listener) int {
	in.unbind()
	config.Report(p.Stderr, []config.Problem{{
		Variable: variable, Value: addr,
		Text: fmt.Sprintf("expected a loopback address, but this is %s; use 127.0.0.1", ln.Addr()),
	}})
	return cli.ExitConfig
}

// listenFor binds the addresses of one origin.
func (in *instance) listenFor(ctx context.Context, p cli.Process, o *origin) int {
	variable := o.settings.Variable("LISTEN_ADDR")
	for _, addr := range o.settings.Listen.Addr {
		ln, err := in.bind(ctx, addr, variable, os.FileMode(o.settings.Listen.SocketMode),
			zap.String("origin", o.settings.Name()))
		if err != nil {
			return cli.ExitFailed
		}
		o.clients = append(o.clients, ln)
		if !o.settings.LoopbackOnly(ln.Addr()) {
			return in.boundTooWide(p, variable, addr, ln)
		}
	}
	return cli.ExitOK
}

// bind listens on addr, which variable has. On failure it says so, with label, and gives back what was bound
// before.
func (in *instance) bind(ctx context.Context, addr, variable string, mode os.FileMode,
	label zap.Field) (net.Listener, error) {
	ln, err := listenOn(ctx, addr, mode)
	if err == nil {
		return ln, nil
	}
	cure := "set " + variable + " to an address of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, host.ErrSocketInUse),
		errors.As(err, new(*host.ForeignFileError)):
		cure = "set " + variable + " to a free address, or stop the program that listens there"
	case strings.HasPrefix(addr, config.UnixScheme):
		cure = "set " + variable + " to a folder that exists and that this user may write to"
	}
	in.log.Error("cannot listen", label, zap.String("address", addr), zap.String("variable", variable),
		zap.Error(err), zap.String("cure", cure))
	in.unbind()
	return nil, err
}

func (in *instance) unbind() {
	for _, o := range in.origins {
		for _, ln := range o.clients {
			_ = ln.Close()
		}
	}
	if in.probes != nil {
		_ = in.probes.Close()
	}
	if in.admin != nil {
		_ = in.admin.Close()
	}
}

// listenOn listens on one address; mode is that of a Unix socket.
func listenOn(ctx context.Context, addr string, mode os.FileMode) (net.Listener, error) {
	if !strings.HasPrefix(addr, config.UnixScheme) {
		return host.TCPListenConfig(config.IsLoopback(addr)).Listen(ctx, "tcp", addr)
	}
	path, err := config.SocketPath(addr)
	if err != nil {
		return nil, err
	}
	socket, err := host.ListenUnix(ctx, path, mode)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return socket, nil
}

// allowUIDs returns pgwire.Server.Allow for the users with these IDs, nil for everybody. The kernel knows the
// client's ID.
func allowUIDs(uids []uint32) func(net.Conn) error {
	if len(uids) == 0 {
		return nil
	}
	return func(client net.Conn) error {
		socket, ok := client.(*net.UnixConn)
		if !ok {
			return errors.New("only clients on the Unix socket may connect")
		}
		uid, err := host.PeerUID(socket)
		if err != nil {
			return fmt.Errorf("the user ID of the client cannot be told: %w", err)
		}
		if !slices.Contains(uids, uid) {
			return fmt.Errorf("user ID %d may not connect here", uid)
		}
		return nil
	}
}
