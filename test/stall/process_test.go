//go:build stall

package stall

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
)

// stopLimit bounds how long a pgorigin without sessions may take to end on SIGTERM.
const stopLimit = 30 * time.Second

// logIn logs in again and again for as long as a stall lasts. It returns what the first failure or the last
// login saw.
func logIn(ctx context.Context, dsn string) (string, error) {
	const want = "logged in"
	for end := time.Now().Add(*long); time.Now().Before(end); pause(ctx, time.Second) {
		began := time.Now()
		saw, err := psql(ctx, dsn, "SELECT '"+want+"'")
		if err != nil || saw != want {
			return fmt.Sprintf("%s (after %.1fs)", saw, time.Since(began).Seconds()), err
		}
	}
	return want, nil
}

// logInWhileLogIsBlocked: nobody reads the standard error of pgorigin. More sessions come and go than may be
// there at once.
func logInWhileLogIsBlocked(ctx context.Context, way string) (string, error) {
	if way == direct {
		dsn, _, err := reach(ctx, way, shared.postgres.Addr)
		if err != nil {
			return "", err
		}
		return logIn(ctx, dsn)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = read.Close() }()
	defer func() { _ = write.Close() }()
	if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		return "", err
	}
	port, err := shared.lab.Port()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, shared.binary)
	cmd.Stderr = write
	cmd.Env = append([]string{
		"PGORIGIN_UPSTREAM_ADDR=" + shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=127.0.0.1:" + port,
		"PGORIGIN_HEALTH_ADDR=off",
		"PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile, "PGORIGIN_MAX_SESSIONS=20", "PGORIGIN_LOG_LEVEL=debug",
	}, modes[way]...)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	addr := "127.0.0.1:" + port
	err = servers.Poll(ctx, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	saw, err := logIn(ctx, servers.DSN(addr))
	if err := errors.Join(err, cmd.Process.Signal(syscall.SIGTERM)); err != nil {
		return "", err
	}
	select {
	case err = <-ended:
	case <-time.After(stopLimit):
		err = errors.Join(errors.New("it does not end on SIGTERM"), cmd.Process.Kill())
	}
	if err != nil {
		saw += fmt.Sprintf("; pgorigin: %v", err)
	}
	return saw, nil
}

// logInPastSilentAddress: the first of two addresses accepts connections and says nothing.
func logInPastSilentAddress(ctx context.Context, way string) (string, error) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = silent.Close() }()
	return logInBehind(ctx, way, silent.Addr().String())
}

// logInPastFullAddress: the first of two addresses answers no SYN, because nobody takes the connections that
// wait there.
func logInPastFullAddress(ctx context.Context, way string) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	if err != nil {
		return "", err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	inet, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("the socket's address is a %T", name)
	}
	full := fmt.Sprintf("127.0.0.1:%d", inet.Port)
	for range 4 { // a queue of length 0 has room for one; more only wait
		conn, err := net.DialTimeout("tcp", full, time.Second)
		if err != nil {
			break
		}
		defer func() { _ = conn.Close() }()
	}
	return logInBehind(ctx, way, full)
}

// logInBehind logs in with first before the address of PostgreSQL.
func logInBehind(ctx context.Context, way, first string) (string, error) {
	if way != direct {
		dsn, _, err := reach(ctx, way, first+","+shared.postgres.Addr)
		if err != nil {
			return "", err
		}
		return logIn(ctx, dsn)
	}
	dsn, _, err := reach(ctx, way, shared.postgres.Addr)
	if err != nil {
		return "", err
	}
	_, firstPort, errFirst := net.SplitHostPort(first)
	_, port, err := net.SplitHostPort(shared.postgres.Addr)
	if err := errors.Join(errFirst, err); err != nil {
		return "", err
	}
	// The timeout is for each address.
	return logIn(ctx, dsn+" host=127.0.0.1,127.0.0.1 port="+firstPort+","+port+" connect_timeout=5")
}
