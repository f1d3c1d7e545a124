package pgwire

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// asideRig is a rig whose sessions wait until the test lets them go on.
type asideRig struct {
	*rig
	waiting chan string
	let     chan struct{}
}

func newAsideRig(r *rig) *asideRig {
	a := &asideRig{rig: r, waiting: make(chan string, 100), let: make(chan struct{})}
	r.server.DialSession = func(ctx context.Context, aside func(func())) (Opened, error) {
		aside(func() {
			a.waiting <- "begins"
			select {
			case <-a.let:
			case <-ctx.Done():
			}
		})
		if err := ctx.Err(); err != nil {
			return Opened{}, err
		}
		conn, err := r.server.Dial(ctx, nil)
		return Opened{Upstream: conn}, err
	}
	return a
}

// While sessions wait they have no place among the logins, which another origin needs, and take one each
// afterwards.
func TestWaitingSessionsHoldNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		capacity := &Capacity{Logins: 1, Sessions: 10, SessionsFrom: "the test"}
		away := newAsideRig(newRig(t, func(s *Server) { s.Capacity = capacity }))
		well := newRig(t, func(s *Server) { s.Capacity = capacity })
		var clients []*pgtest.Peer
		for range 3 {
			client := away.connect()
			client.Send(pgtest.Startup("user", "app"))
			<-away.waiting
			synctest.Wait() // it waits before the next one comes
			clients = append(clients, client)
		}
		if held := capacity.logins.held; held != 0 {
			t.Errorf("%d logins are held by sessions that wait", held)
		}
		if n := capacity.InUse(); n != 3 {
			t.Errorf("%d sessions are counted, want those that wait", n)
		}
		well.login("pid4key4")

		// Another login holds the only place when the first wait is over.
		slow := well.connect()
		slow.Send(pgtest.Startup("user", "slow"))
		upstream := <-well.upstreams
		upstream.Expect(pgtest.Startup("user", "slow"))
		for range clients {
			away.let <- struct{}{}
			synctest.Wait()
		}
		if n := len(away.targets); n != 0 {
			t.Fatalf("%d sessions dialled beside the login that holds the place", n)
		}
		go upstream.Send(pgtest.Login("pid5key5"))
		slow.Expect(pgtest.Login("pid5key5"))
		for _, client := range clients { // in their order
			upstream := <-away.upstreams
			upstream.Expect(pgtest.Startup("user", "app"))
			synctest.Wait()
			if held, waiting := capacity.logins.held, len(away.upstreams); held != 1 || waiting != 0 {
				t.Errorf("%d logins are held; %d more sessions dialled", held, waiting)
			}
			go upstream.Send(pgtest.Login("pid6key6"))
			client.Expect(pgtest.Login("pid6key6"))
		}
		synctest.Wait()
		if held := capacity.logins.held; held != 0 {
			t.Errorf("%d logins are left", held)
		}
	})
}

// LoginTimeout stands still while a session waits, and goes on where it was.
func TestLoginTimeoutStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := make(chan SessionInfo, 1)
		r := newAsideRig(newRig(t, func(s *Server) {
			s.LoginTimeout = 10 * time.Second
			s.Trace.Authenticated = func(i SessionInfo) { ready <- i }
		}))
		client := r.connect()
		time.Sleep(4 * time.Second)
		client.Send(pgtest.Startup("user", "app"))
		<-r.waiting
		time.Sleep(time.Hour)
		r.let <- struct{}{}
		upstream := <-r.upstreams
		upstream.Expect(pgtest.Startup("user", "app"))
		began := time.Now()
		contains(t, client.ExpectError("57014").Message, "longer than 10s, besides the 1h0m0s that it waited for the upstream")
		since(t, began, 6*time.Second)
		_ = client.Close()
		if e := r.expectEnd(ReasonLoginTimeout); e.Waited != time.Hour {
			t.Errorf("waited %v", e.Waited)
		}

		client = r.connect()
		client.Send(pgtest.Startup("user", "app"))
		<-r.waiting
		time.Sleep(time.Hour)
		r.let <- struct{}{}
		upstream = <-r.upstreams
		upstream.Expect(pgtest.Startup("user", "app"))
		go upstream.Send(pgtest.Login("pid4key4"))
		client.Expect(pgtest.Login("pid4key4"))
		if i := <-ready; i.Waited != time.Hour {
			t.Errorf("waited %v", i.Waited)
		}
		time.Sleep(time.Hour) // no clock is left
		go client.Send([]byte("still here"))
		upstream.Expect([]byte("still here"))
	})
}

// A session whose LoginTimeout has passed does not begin to wait: the clock is not set again.
func TestLoginTimeoutBeforeTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Server) { s.LoginTimeout = 5 * time.Second })
		r.server.DialSession = func(ctx context.Context, aside func(func())) (Opened, error) {
			<-ctx.Done()
			aside(func() { time.Sleep(time.Hour) })
			return Opened{}, ctx.Err()
		}
		client := r.connect()
		client.Send(pgtest.Startup("user", "app"))
		contains(t, client.ExpectError("57014").Message, "longer than 5s")
		_ = client.Close()
		if e := r.expectEnd(ReasonLoginTimeout); e.Waited != 0 {
			t.Errorf("waited %v", e.Waited)
		}
	})
}

// How long a connection took to open does not include the wait.
func TestTookWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tooks := make(chan time.Duration, 1)
		r := newAsideRig(newRig(t, nil))
		dial := r.server.Dial
		r.server.Dial = func(ctx context.Context, target net.Addr) (Upstream, error) {
			time.Sleep(30 * time.Millisecond)
			return dial(ctx, target)
		}
		r.server.Trace.UpstreamReady = func(_ SessionInfo, _ net.Conn, took time.Duration) { tooks <- took }
		r.connect().Send(pgtest.Startup("user", "app"))
		<-r.waiting
		time.Sleep(time.Minute)
		r.let <- struct{}{}
		if took := <-tooks; took != 30*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// A wait ends with the server, and the client is told why.
func TestWaitEndsWithTheServer(t *testing.T) {
	for name, stop := range map[string]func(*Server){
		"drain": func(s *Server) { _ = s.Shutdown(context.Background()) },
		"close": func(s *Server) { _ = s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newAsideRig(newRig(t, func(s *Server) { s.Capacity = &Capacity{Logins: 1} }))
				var clients []*pgtest.Peer
				for range 5 {
					client := r.connect()
					client.Send(pgtest.Startup("user", "app"))
					<-r.waiting
					clients = append(clients, client)
				}
				began := time.Now()
				stopped := make(chan struct{})
				go func() { defer close(stopped); stop(r.server) }()
				for _, client := range clients {
					contains(t, client.ExpectError("57P03").Message, "no new sessions, because pgorigin shuts down")
					_ = client.Close()
					r.expectEnd(ReasonDraining)
				}
				<-stopped
				since(t, began, 0)
				r.expectNoDial()
			})
		})
	}
}

// A client that leaves while it waits frees its place at once, and one that has only sent more does not leave.
func TestLeavingWhileWaiting(t *testing.T) {
	for name, leave := range map[string]func(*pgtest.Peer){
		"closes":       func(client *pgtest.Peer) { _ = client.Close() },
		"says goodbye": func(client *pgtest.Peer) { client.Send(pgtest.Terminate()); _ = client.Close() },
		"resets": func(client *pgtest.Peer) {
			_ = client.Conn.(*net.TCPConn).SetLinger(0)
			_ = client.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			capacity := &Capacity{Logins: 1}
			r := newAsideRig(newTCPRig(t, func(s *Server) { s.Capacity, s.MaxSessions = capacity, 1 }))
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			<-r.waiting
			began := time.Now()
			leave(client)
			e := r.expectEnd(ReasonClientGone)
			if e.SessionResult.Phase != PhaseDial {
				t.Errorf("ended in phase %v", e.SessionResult.Phase)
			}
			t.Logf("noticed after %v", time.Since(began))
			_ = client.Close()
			next := r.connect() // which has the place
			next.Send(pgtest.Startup("user", "app"))
			<-r.waiting
			_ = next.Close()
			r.expectEnd(ReasonClientGone)
		})
	}
	t.Run("has only sent more", func(t *testing.T) {
		r := newAsideRig(newTCPRig(t, nil))
		client := r.connect()
		early := pgtest.Message('Q', "select 1\x00")
		client.Send(pgtest.Startup("user", "app"), early[:3])
		<-r.waiting
		client.Send(early[3:])
		client.CloseWrite()
		r.let <- struct{}{}
		upstream := <-r.upstreams
		upstream.Expect(pgtest.Startup("user", "app"))
		upstream.Send(pgtest.Login("pid4key4"))
		client.Expect(pgtest.Login("pid4key4"))
		upstream.Expect(early)
		upstream.ExpectEOF()
		_ = upstream.Close()
	})
	t.Run("after the wait", func(t *testing.T) { // the watch of every login goes on
		r := newAsideRig(newTCPRig(t, nil))
		client := r.connect()
		client.Send(pgtest.Startup("user", "app"))
		<-r.waiting
		r.let <- struct{}{}
		(<-r.upstreams).Expect(pgtest.Startup("user", "app"))
		_ = client.Close()
		r.expectEnd(ReasonClientGone)
	})
}
