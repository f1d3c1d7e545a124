package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate is a TCP relay in front of a real server. It can withhold the end of connections until the client speaks, so that
// they are dead and the client cannot know it; and it can cut all connections.
type gate struct {
	addr, upstream string
	ended          chan struct{} // gets one for each end that is withheld

	mu     sync.Mutex
	passes map[*pass]struct{}
	opened func() // nil before watch
}

// pass is one connection through a gate.
type pass struct {
	client, server *net.TCPConn
	spoken         chan struct{} // not nil: held, and closed when the client speaks
}

func startGate(t *testing.T, upstream string) *gate {
	t.Helper()
	g := &gate{upstream: upstream, ended: make(chan struct{}, 16), passes: map[*pass]struct{}{}}
	g.addr = serveTCP(t, g.serve, g.cut)
	return g
}

// serveTCP serves each connection to the address that it returns. When the test is over it stops listening, calls stop and
// waits for the connections.
func serveTCP(t *testing.T, serve func(*net.TCPConn), stop func()) (addr string) {
	t.Helper()
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		stop()
		serving.Wait()
	})
	return ln.Addr().String()
}

func (g *gate) serve(client *net.TCPConn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	p := &pass{client: client, server: server.(*net.TCPConn)}
	g.add(p)
	var down sync.WaitGroup
	down.Go(func() { g.copyDown(p) })
	g.copyUp(p)
	_ = p.server.CloseWrite()
	down.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.passes, p)
}

func (g *gate) add(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes[p] = struct{}{}
	if g.opened != nil {
		g.opened()
	}
}

// watch has opened called whenever there is a new connection.
func (g *gate) watch(opened func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = opened
}

// copyUp passes on what the client says, which opens the gate for its connection.
func (g *gate) copyUp(p *pass) {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.client.Read(buf)
		g.release(p)
		if _, werr := p.server.Write(buf[:n]); werr != nil || err != nil {
			_, _ = io.Copy(io.Discard, p.client) // so that nothing of the client's is reset
			return
		}
	}
}

func (g *gate) copyDown(p *pass) {
	buf := make([]byte, 32<<10)
	for {
		n, err := p.server.Read(buf)
		g.mu.Lock()
		spoken := p.spoken
		g.mu.Unlock()
		if spoken == nil && err == nil {
			_, err = p.client.Write(buf[:n])
		} else if spoken != nil {
			rest, _ := io.ReadAll(p.server)
			g.ended <- struct{}{}
			<-spoken
			_, _ = p.client.Write(append(buf[:n], rest...))
			err = io.EOF
		}
		if err != nil {
			_ = p.client.CloseWrite()
			return
		}
	}
}

// hold makes all present connections end behind the client's back: whatever the server says from now on is withheld until
// it has closed and the client has spoken.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.passes {
		if p.spoken == nil {
			p.spoken = make(chan struct{})
		}
	}
}

func (g *gate) release(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.spoken != nil {
		close(p.spoken)
		p.spoken = nil
	}
}

// cut ends all present connections.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.passes {
		_ = p.client.Close()
		_ = p.server.Close()
	}
}
