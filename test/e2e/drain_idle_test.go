package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// rawMessage is a message with a type byte.
func rawMessage(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

// untilKind reads up to the first message of a kind and returns its body.
func untilKind(t *testing.T, conn net.Conn, want byte) string {
	t.Helper()
	for {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatalf("wait for message %q: %v", want, err)
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(conn, body); err != nil {
			t.Fatalf("wait for message %q: %v", want, err)
		}
		if head[0] == want {
			return string(body)
		}
	}
}

// Clients that are idle, whatever they have behind them, do not hold up a drain.
func TestDrainOfIdleSessions(t *testing.T) {
	const (
		copyIn  = "P\x00COPY drain_copy FROM STDIN\x00\x00\x00"
		bind    = "B\x00\x00\x00\x00\x00\x00\x00\x00"
		execute = "E\x00\x00\x00\x00\x00"
		synced  = "S"
	)
	// Each string is a message of the client, or ? and the kind of answer that it waits for.
	tests := map[string][]string{
		"COPY given up":         {copyIn, bind, execute, synced, "?G", "d1\n", "fno\x00", synced, "?Z"},
		"COPY with a bad row":   {copyIn, bind, execute, synced, "?G", "dbad\n", "c", synced, "?Z"},
		"COPY, Sync inside":     {"QCOPY drain_copy FROM STDIN\x00", "?G", "d1\n", synced, "d2\n", "c", "?Z"},
		"bare Flush":            {"H"},
		"bare Close":            {"CSnone\x00", "H", "?3"},
		"pipeline that failed":  {"P\x00SELECT 1/0\x00\x00\x00", bind, execute, bind, execute, synced, "?Z"},
		"a Query behind a Sync": {synced, "QSELECT 1\x00", "?Z", "?Z"},
	}
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		mustExecDirectly(ctx, t, "CREATE TABLE drain_copy (n int); GRANT ALL ON drain_copy TO app")
		defer mustExecDirectly(ctx, t, "DROP TABLE drain_copy")
		conns := map[string]net.Conn{}
		for name, script := range tests {
			conn, err := pgconn.Connect(ctx, servers.DSN(origin.Addr))
			if err != nil {
				t.Fatal(err)
			}
			hijacked, err := conn.Hijack()
			if err != nil {
				t.Fatal(err)
			}
			defer hijacked.Conn.Close()
			conns[name] = hijacked.Conn
			for _, m := range script {
				if m[0] == '?' {
					untilKind(t, hijacked.Conn, m[1])
				} else if _, err := hijacked.Conn.Write(rawMessage(m[0], m[1:])); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		if err := origin.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		awaitExit(ctx, t, origin.Process, 0)
		for name, conn := range conns {
			rest, err := io.ReadAll(conn)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: %v", name, err)
			}
			if !bytes.Contains(rest, []byte("\x00C57P01\x00")) {
				t.Errorf("%s: not told of the end, but %q", name, rest)
			}
		}
	})
}
