package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// listen binds every address that is not bound yet, before anything is served. If one fails, listen closes all
// listeners, reports the problem and returns the exit code.
func (s *Sidecar) listen(ctx context.Context, p cli.Process) int {
	for _, o := range s.origins {
		if len(o.listeners) > 0 {
			continue // adopted
		}
		if code := s.listenFor(ctx, p, o); code != cli.ExitOK {
			return code
		}
	}
	if addr := s.settings.HealthAddr; !addr.Off() {
		ln, err := s.bind(ctx, string(addr), config.Prefix+"HEALTH_ADDR", 0, zap.Skip()) // TCP only
		if err != nil {
			return cli.ExitFailed
		}
		s.healthListener = ln
	}
	return s.listenForAdmin(ctx, p)
}

// listenForAdmin binds the admin address. It must be a loopback address or a Unix socket.
func (s *Sidecar) listenForAdmin(ctx context.Context, p cli.Process) int {
	addr, variable := string(s.settings.AdminAddr), config.Prefix+"ADMIN_ADDR"
	if s.settings.AdminAddr.Off() {
		return cli.ExitOK
	}
	ln, err := s.bind(ctx, addr, variable, adminSocketMode, zap.Skip())
	if err != nil {
		return cli.ExitFailed
	}
	s.adminListener = ln
	if config.OnlyHere(ln.Addr()) {
		return cli.ExitOK
	}
	return s.refuseAddress(p, variable, addr, ln)
}

// refuseAddress reports that addr, which may be a name such as localhost, led to an address of the network.
func (s *Sidecar) refuseAddress(p cli.Process, variable, addr string, ln net.Listener) int {
	s.closeListeners()
	config.Report(p.Stderr, []config.Problem{{
		Variable: variable, Value: addr,
		Text: fmt.Sprintf("expected a loopback address, but this is %s; use 127.0.0.1", ln.Addr()),
	}})
	return cli.ExitConfig
}

// listenFor binds the addresses of one origin.
func (s *Sidecar) listenFor(ctx context.Context, p cli.Process, o *origin) int {
	variable := o.settings.Variable("LISTEN_ADDR")
	for _, addr := range o.settings.Listen.Addr {
		mode, label := o.settings.Listen.SocketMode, zap.String("origin", o.settings.Name())
		ln, err := s.bind(ctx, addr, variable, mode, label)
		if err != nil {
			return cli.ExitFailed
		}
		o.listeners = append(o.listeners, ln)
		if !o.settings.LoopbackOnly(ln.Addr()) {
			return s.refuseAddress(p, variable, addr, ln)
		}
	}
	return cli.ExitOK
}

// bind listens on addr, the value of variable. After an error it logs a line with label and closes all
// listeners.
func (s *Sidecar) bind(
	ctx context.Context, addr, variable string, mode os.FileMode, label zap.Field,
) (net.Listener, error) {
	if ln := s.bound[addr]; ln != nil {
		return ln, nil
	}
	ln, err := listenOn(ctx, addr, mode)
	if err == nil {
		return ln, nil
	}
	s.log.Error("cannot listen", label, zap.String("address", addr), zap.String("variable", variable),
		zap.Error(err),
		zap.String("cure", host.ListenCure(variable, addr, err)))
	s.closeListeners()
	return nil, err
}

// isOwn reports whether a connection to addr would reach a client listener of this process.
func (s *Sidecar) isOwn(addr netip.AddrPort) bool {
	return slices.ContainsFunc(s.origins, func(o *origin) bool {
		return slices.ContainsFunc(o.listeners, func(ln net.Listener) bool {
			tcp, ok := ln.Addr().(*net.TCPAddr)
			return ok && host.Reaches(addr, tcp.AddrPort())
		})
	})
}

func (s *Sidecar) closeListeners() {
	for _, o := range s.origins {
		for _, ln := range o.listeners {
			_ = ln.Close()
		}
	}
	if s.healthListener != nil {
		_ = s.healthListener.Close()
	}
	if s.adminListener != nil {
		_ = s.adminListener.Close()
	}
}

// listenOn listens on a TCP address, or on a Unix socket with the given mode.
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

// allowUIDs returns a pgwire.Server.Allow for the users with these IDs. Without IDs it returns nil, which
// allows every client. The kernel tells the ID of the client.
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
