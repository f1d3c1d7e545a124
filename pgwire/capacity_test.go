package pgwire

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// Logins beyond the limit wait in the order in which they came, within LoginTimeout, and cost no upstream
// connection.
func TestLoginsWaitInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		capacity := &Capacity{Logins: 1}
		r := newRig(t, func(s *Server) { s.Capacity, s.LoginTimeout = capacity, time.Minute })
		clients := map[string]*pgtest.Peer{}
		for _, name := range []string{"first", "second", "third"} {
			clients[name] = r.connect()
			clients[name].Send(pgtest.Startup("user", name))
			synctest.Wait()
		}
		if n := len(r.targets); n != 1 {
			t.Fatalf("%d dials at one time", n)
		}
		for _, name := range []string{"first", "second"} {
			upstream := <-r.upstreams
			<-r.targets
			upstream.Expect(pgtest.Startup("user", name))
			go upstream.Send(pgtest.Login("pid4" + name[:4]))
			clients[name].Expect(pgtest.Login("pid4" + name[:4]))
		}
		late := r.connect()
		late.Send(pgtest.Startup("user", "late"))
		// The third has its turn and hears nothing; the last never has one. Both are told so in time.
		began := time.Now()
		for _, client := range []*pgtest.Peer{clients["third"], late} {
			client.ExpectError("57014")
			_ = client.Close()
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("they were told after %v", took)
		}
		r.expectEnd(ReasonLoginTimeout)
		if e := r.expectEnd(ReasonLoginTimeout); e.SessionResult.Phase == PhaseStartup {
			t.Errorf("ended in phase %v", e.SessionResult.Phase)
		}
		synctest.Wait()
		if capacity.logins.held != 0 || capacity.logins.waiting.Len() != 0 {
			t.Errorf("%d logins and %d waiting are left", capacity.logins.held, capacity.logins.waiting.Len())
		}
	})
}

// A client that leaves while it waits gives its place up.
func TestLeavingTheLine(t *testing.T) {
	capacity := &Capacity{Logins: 1}
	r := newTCPRig(t, func(s *Server) { s.Capacity = capacity })
	r.connect().Send(pgtest.Startup("user", "first"))
	<-r.targets
	upstream := <-r.upstreams
	second := r.connect()
	second.Send(pgtest.Startup("user", "second"))
	_ = second.Close()
	r.expectEnd(ReasonClientGone)
	_ = upstream.Close()
	r.expectEnd(ReasonUpstreamGone)
	r.expectNoDial()
}

// Servers that share a capacity count their sessions together, and say what the limit comes from.
func TestCapacityIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		capacity := &Capacity{Sessions: 2, SessionsFrom: "the memory limit of 64 MiB"}
		one := newRig(t, func(s *Server) { s.Capacity = capacity })
		other := newRig(t, func(s *Server) { s.Capacity = capacity })
		first, upstream := one.login("pid4key1")
		other.login("pid4key2")
		refused := one.connect()
		refused.Send(pgtest.Startup("user", "app"))
		contains(t, refused.ExpectError("53300").Message, "the memory limit of 64 MiB leaves room for 2, and all of them are in use")
		_ = refused.Close()
		one.expectEnd(ReasonTooManySessions)
		one.expectNoDial()
		_ = first.Close()
		synctest.Wait()
		_ = upstream.Close()
		one.expectEnd(ReasonClientGone)
		synctest.Wait()
		other.login("pid4key3")
		if sessions := capacity.sessions.Load(); sessions != 2 {
			t.Errorf("%d sessions are counted", sessions)
		}
	})
}

// Whatever was planned, a process under pressure takes nobody on.
func TestPressureRefusesSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pressed := false
		capacity := &Capacity{Sessions: 9, Pressed: func() bool { return pressed }}
		r := newRig(t, func(s *Server) { s.Capacity = capacity })
		r.login("pid4key1")
		pressed = true
		refused := r.connect()
		refused.Send(pgtest.Startup("user", "app"))
		contains(t, refused.ExpectError("53300").Message, "1 are in use, and the memory limit leaves no room")
		_ = refused.Close()
		r.expectEnd(ReasonTooManySessions)
		pressed = false
		r.login("pid4key2")
		if n := capacity.InUse(); n != 2 {
			t.Errorf("%d sessions are counted", n)
		}
	})
}

// Silent connections make room within crowdedGrace, and what is refused stays a guest until it is closed.
func TestGuestsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		capacity := &Capacity{Guests: 4}
		r := newRig(t, func(s *Server) { s.Capacity = capacity })
		began := time.Now()
		for range 3 { // the fourth place is that of the next client
			r.connect()
		}
		synctest.Wait()
		honest := make(chan time.Duration, 1)
		go func() {
			r.connect() // silent, too
			r.login("pid4key4")
			honest <- time.Since(began)
		}()
		if took := <-honest; took < crowdedGrace || took > crowdedGrace+2*crowdedPeriod {
			t.Errorf("the honest client was in after %v", took)
		}
		for range 3 {
			r.expectEnd(ReasonClientTimeout)
		}
	})
}
