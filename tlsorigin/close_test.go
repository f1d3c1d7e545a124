package tlsorigin

import (
	"crypto/tls"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// stuck returns a connection to a peer that has stopped reading. Over net.Pipe nothing can be written that
// nobody reads, as if its window were full for ever.
func stuck(t *testing.T) *Conn {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	config.SessionTicketsDisabled = true
	d := newTestDialer(t, ca, func(c *Config) {
		c.NetDial = peertest.PipeTo(func(conn net.Conn) {
			peertest.Answer(conn, "S")
			tls.Server(conn, config).Handshake()
			<-t.Context().Done()
		})
	}, "db.test:6432")
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestCloseIsBounded(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, began := stuck(t), time.Now()
			if err := conn.Close(); err != nil || time.Since(began) != CloseGrace {
				t.Errorf("%v after %v, want %v", err, time.Since(began), CloseGrace)
			}
		})
	})
	t.Run("while Write and Read wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, began := stuck(t), time.Now()
			ended := make(chan error, 2)
			go func() { _, err := conn.Write(make([]byte, 1<<20)); ended <- err }()
			go func() { _, err := conn.Read(make([]byte, 1)); ended <- err }()
			time.Sleep(time.Second)
			conn.Close()
			for range 2 {
				if err := <-ended; err == nil {
					t.Error("ended without an error")
				}
			}
			if took := time.Since(began); took > time.Second+CloseGrace {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("a deadline set later does not prolong it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn, began := stuck(t), time.Now()
			time.AfterFunc(CloseGrace/2, func() { conn.SetDeadline(time.Time{}) })
			if conn.Close(); time.Since(began) != CloseGrace {
				t.Errorf("took %v", time.Since(began))
			}
		})
	})
}

// TestCloseInterruptsCloseWrite runs on the real clock: a goroutine that waits for a mutex, as Close does for
// CloseWrite, keeps the time of a bubble from passing.
func TestCloseInterruptsCloseWrite(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	config.SessionTicketsDisabled = true
	begun := make(chan struct{})
	d := newTestDialer(t, ca, func(c *Config) {
		c.NetDial = peertest.PipeTo(func(conn net.Conn) {
			peertest.Answer(conn, "S")
			tls.Server(conn, config).Handshake()
			conn.Read(make([]byte, 1)) // of close_notify; the rest has to wait
			close(begun)
			<-t.Context().Done()
		})
	}, "db.test:6432")
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- conn.CloseWrite() }()
	<-begun
	began := time.Now()
	conn.Close()
	if err := <-ended; err == nil {
		t.Error("CloseWrite says that it sent close_notify")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v, which is the patience of crypto/tls, not %v", took, CloseGrace)
	}
}
