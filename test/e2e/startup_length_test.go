package e2e

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// The longest startup packet that PostgreSQL takes has 10,004 bytes, its length word included.
func TestLongestStartupPacket(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr)
	for size, want := range map[int]string{10_000: "R", 10_004: "R", 10_005: ""} {
		body := "\x00\x03\x00\x00user\x00app\x00application_name\x00"
		body += strings.Repeat("x", size-len(body)-6) + "\x00\x00"
		packet := append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", origin.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1)
		n, err := io.ReadFull(conn, answer)
		ended := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
		if string(answer[:n]) != want || err != nil && !ended {
			t.Errorf("a packet of %d bytes is answered with %q, %v", len(packet), answer[:n], err)
		}
	}
}
