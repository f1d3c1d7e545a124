package outage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

const patience = 14 * time.Second

func TestFineUpstreamIsDialledByAll(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		for i := range 100 { // more than ever wait for their turn
			r.client(t.Context(), i)
		}
		r.pass(5 * time.Millisecond)
		r.expectServed(100)
		if r.most != 100 || r.away > 0 || len(r.waits) > 0 || r.probed() > 0 {
			t.Errorf("%d dialled at once; %d outages, %d waits, %d probes", r.most, r.away, len(r.waits), r.probed())
		}
	})
}

// Without patience all is as if there were no line.
func TestNobodyWaits(t *testing.T) {
	inBubble(t, 0, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		_, place, err := r.Dial(t.Context(), nil)
		var failure *tlsorigin.Error
		if !errors.As(err, &failure) || failure.Waited != 0 || place != nil {
			t.Errorf("got %+v, %v", place, err)
		}
		r.pass(time.Minute)
		if r.probed() > 0 || r.away > 0 {
			t.Error("it was probed")
		}
	})
}

// Ten seconds without the upstream, in every way in which it can be away: nobody fails, nobody waits much longer
// than the upstream is away, and it is not dialled more often than it may be.
func TestOutage(t *testing.T) {
	for _, row := range []struct {
		health health
		probes int           // at most
		late   time.Duration // longer than the outage
	}{
		{refused, 100, 250 * time.Millisecond},
		{dropped, 100, 250 * time.Millisecond},
		{starting, 100, 250 * time.Millisecond},
		{hung, 4, 3500 * time.Millisecond},
	} {
		t.Run(string(row.health), func(t *testing.T) {
			inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
				r.arrive(0, 50, 20*time.Millisecond)
				r.expectServed(50)
				r.set(row.health)
				r.arrive(50, 500, 20*time.Millisecond)
				if row.health == refused && r.dials != 51 {
					t.Errorf("%d dials by clients, want one for all that wait", r.dials-50)
				}
				r.set(fine)
				r.arrive(550, 50, 20*time.Millisecond)
				r.pass(patience)
				r.expectServed(600)
				r.expectPace()
				if n := r.probed(); n > row.probes {
					t.Errorf("%d probes", n)
				}
				if took := r.slowest(); took > 10*time.Second+row.late {
					t.Errorf("a client waited %v", took)
				}
				if r.most > lastWindow && row.health != dropped && row.health != hung {
					t.Errorf("%d dialled at one time", r.most)
				}
				if r.away != 1 || r.back != 1 {
					t.Errorf("%d outages began, %d ended", r.away, r.back)
				}
			})
		})
	}
}

// Clients are served in the order in which they came, those included whose dial was stuck.
func TestOrderOfArrival(t *testing.T) {
	for _, h := range []health{refused, dropped, starting} {
		t.Run(string(h), func(t *testing.T) {
			inBubble(t, time.Minute, []string{"db"}, func(t *testing.T, r *rig) {
				r.set(h)
				r.arrive(0, 600, 20*time.Millisecond)
				r.latency = 20 * time.Millisecond
				r.set(fine)
				r.pass(10 * time.Second)
				r.expectServed(600)
				for i, id := range r.served {
					if d := id - i; d > lastWindow || d < -lastWindow {
						t.Fatalf("client %d was served as number %d", id, i)
					}
				}
				if r.served[0] != 0 {
					t.Errorf("the first was %d", r.served[0])
				}
			})
		})
	}
}

// A server that answers no login gets one from the line each second. The others go on to wait.
func TestLoginsThatGetNoAnswer(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.arrive(0, 100, 10*time.Millisecond)
		r.set(mute)
		r.pass(5 * time.Second)
		if n := r.Waiting(); n < 93 || n > 95 {
			t.Errorf("%d wait", n)
		}
		r.set(fine)
		r.pass(1100 * time.Millisecond)
		if n := len(r.served); n < 93 {
			t.Errorf("%d were served", n)
		}
	})
}

// One client alone is served as soon as a crowd is, though its own dial is stuck.
func TestLoneClient(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(dropped)
		r.client(t.Context(), 0)
		r.pass(5 * time.Second)
		if r.away > 0 {
			t.Error("an outage was announced, though nobody waits")
		}
		r.set(fine)
		r.pass(200 * time.Millisecond)
		r.expectServed(1)
	})
}

// A slow upstream is not away.
func TestSlowUpstream(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.latency = 900 * time.Millisecond
		r.arrive(0, 200, 10*time.Millisecond)
		r.pass(time.Second)
		r.expectServed(200)
		if r.away > 0 || r.probed() > 0 {
			t.Errorf("%d outages, %d probes", r.away, r.probed())
		}
	})
}

// Nor is one that takes long and says something meanwhile, or one that has been as slow before.
func TestBusyUpstream(t *testing.T) {
	for name, talks := range map[string]bool{"talks": true, "was slow before": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
				r.latency = 3 * time.Second
				if !talks {
					r.latency = 900 * time.Millisecond
					r.client(t.Context(), 0)
					r.pass(time.Second)
					r.latency = 3 * time.Second
				}
				for i := range 6 {
					r.client(t.Context(), i+1)
					if r.pass(500 * time.Millisecond); talks {
						r.mu.Lock()
						r.lastByte = time.Now()
						r.mu.Unlock()
					}
				}
				if r.outage != nil || r.probed() > 0 {
					t.Errorf("outage %v, %d probes", r.outage, r.probed())
				}
				r.pass(3 * time.Second)
				if len(r.failed) > 0 || r.away > 0 {
					t.Errorf("failures %v, %d outages", r.failed, r.away)
				}
			})
		})
	}
}

func TestTimeOver(t *testing.T) {
	for h, want := range map[health]tlsorigin.Reason{
		refused: tlsorigin.ReasonUpstreamRefused, dropped: tlsorigin.ReasonUpstreamTimeout, hung: tlsorigin.ReasonUpstreamSilent,
	} {
		t.Run(string(h), func(t *testing.T) {
			inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
				r.set(h)
				r.arrive(0, 20, 100*time.Millisecond)
				r.pass(patience)
				if len(r.failed) != 20 || len(r.waits) != 20 {
					t.Fatalf("%d failed, %d waited", len(r.failed), len(r.waits))
				}
				for id, err := range r.failed {
					var failure *tlsorigin.Error
					if !errors.As(err, &failure) || failure.Kind != want || failure.Waited == 0 {
						t.Errorf("client %d: %v, waited %v", id, err, failure)
					}
					if r.took[id].Round(20*time.Millisecond) != patience {
						t.Errorf("client %d took %v", id, r.took[id])
					}
				}
				if r.prober != nil {
					t.Error("it probes for nobody")
				}
			})
		})
	}
}

// A client that the upstream has refused gets that refusal in the end, and others hear of it.
func TestTimeOverWhileItStarts(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(starting)
		r.arrive(0, 3, 20*time.Millisecond)
		r.pass(time.Minute)
		var waited *WaitedError
		if err := r.failed[0]; !errors.Is(err, errStarting) || errors.As(err, &waited) {
			t.Errorf("the first got %v", err)
		}
		if err := r.failed[2]; !errors.Is(err, errStarting) {
			t.Errorf("the last got %v", err)
		}
		r.expectPace()
	})
}

// A server that starts is no outage while another takes logins.
func TestOneOfTwoStarts(t *testing.T) {
	inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
		r.set(starting) // as nobody knows of b yet
		conn, place, err := r.Dial(t.Context(), nil)
		if err != nil || r.remote(conn).Host != "a" {
			t.Fatalf("got %v, %v", conn, err)
		}
		r.close(conn)
		r.set(fine, "b")
		conn, err = place.Refused(t.Context(), errStarting)
		if err != nil || r.remote(conn).Host != "b" {
			t.Fatalf("got %v, %v", conn, err)
		}
		r.close(conn)
		place.Answered()
		if r.away > 0 || len(r.waits) > 0 || r.dials != 2 {
			t.Errorf("%d outages, %d waits, %d dials", r.away, len(r.waits), r.dials)
		}
	})
}

func TestWhatWaitingCannotCure(t *testing.T) {
	inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
		r.set(dropped)
		r.arrive(0, 150, 50*time.Millisecond)
		r.set(distrust, "a")
		r.pass(connectTime + 500*time.Millisecond)
		if len(r.failed) == 0 || r.hopelessly != 1 {
			t.Errorf("%d have failed, hopeless %d", len(r.failed), r.hopelessly)
		}
		for _, err := range r.failed {
			var failure *tlsorigin.Error
			if !errors.As(err, &failure) || failure.Kind != tlsorigin.ReasonCertExpired || len(failure.Others) != 1 {
				t.Errorf("got %v", err)
			}
		}
		if r.Waiting() > 0 {
			t.Errorf("%d wait", r.Waiting())
		}
	})
}

// What this machine lacks is no outage, and ends none.
func TestWhatThisMachineLacks(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(lacking)
		r.client(t.Context(), 0)
		r.pass(time.Second)
		if len(r.failed) != 1 || r.away > 0 {
			t.Errorf("failures %v, %d outages", r.failed, r.away)
		}
		r.set(refused)
		r.arrive(1, 10, 100*time.Millisecond)
		r.set(lacking)
		r.pass(time.Second)
		if n := r.Waiting(); n != 10 || r.hopelessly > 0 {
			t.Errorf("%d wait, hopeless %d", n, r.hopelessly)
		}
		r.set(fine)
		r.pass(200 * time.Millisecond)
		if len(r.served) != 10 {
			t.Errorf("%d were served", len(r.served))
		}
	})
}

// The end of a session ends its wait at once, and of all the probes.
func TestLeaving(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		ctx, leave := context.WithCancel(t.Context())
		for i := range 100 {
			r.client(ctx, i)
		}
		r.pass(time.Second)
		if n := r.Waiting(); n != 100 {
			t.Errorf("%d wait", n)
		}
		leave()
		synctest.Wait()
		if n := r.Waiting(); n != 0 || len(r.lost) != 100 {
			t.Errorf("%d wait, %d have left", n, len(r.lost))
		}
		for _, err := range r.waits {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the hook got %v", err)
			}
		}
		n := r.probed()
		if r.pass(time.Minute); r.probed() != n {
			t.Error("it probes for nobody")
		}
		// Clients that come and go do not make it dial more often.
		for range 100 {
			ctx, leave := context.WithTimeout(t.Context(), 10*time.Millisecond)
			r.client(ctx, 0)
			r.pass(15 * time.Millisecond)
			leave()
		}
		r.expectPace()
		// After a silence the first probe comes at once.
		r.set(fine)
		r.pass(time.Minute)
		r.client(t.Context(), 0)
		r.pass(10 * time.Millisecond)
		if len(r.served) != 1 {
			t.Error("the upstream is there, and the client waits")
		}
	})
}

func TestClose(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.arrive(0, 100, 10*time.Millisecond)
		_ = r.Close()
		synctest.Wait()
		if len(r.failed) != 100 {
			t.Errorf("%d got an error", len(r.failed))
		}
		r.client(t.Context(), 100)
		r.pass(10 * time.Millisecond)
		if len(r.failed) != 101 {
			t.Error("a client waits after Close")
		}
	})
}

// An upstream that ends each connection, as a TLS terminator without its server does, is away.
func TestConnectionsThatEnd(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.client(t.Context(), 0)
		r.pass(time.Second)
		r.set(ending)
		r.arrive(1, 100, 40*time.Millisecond)
		if r.dials > 2 || r.away != 1 || r.back > 0 {
			t.Errorf("%d dials by clients; %d outages began, %d ended", r.dials, r.away, r.back)
		}
		r.expectPace()
		r.set(fine)
		r.pass(time.Second)
		r.expectServed(101)
		r.set(ending)
		r.client(t.Context(), 101)
		r.pass(patience + time.Second)
		var failure *tlsorigin.Error
		if err := r.failed[101]; !errors.As(err, &failure) || failure.Text != errEnded.Error() || failure.Waited == 0 {
			t.Errorf("in the end it got %v", err)
		}
	})
}

// A client that the upstream does not like gets four connections, and holds nobody up.
func TestConnectionsOfOneThatEnd(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		var err error
		odd, ends := false, 0
		r.clients.Go(func() {
			conn, place, dialErr := r.Dial(t.Context(), nil)
			for err = dialErr; err == nil; ends++ {
				time.Sleep(2 * time.Millisecond)
				r.close(conn)
				conn, err = place.Ended(t.Context(), errEnded)
			}
			odd = true
		})
		r.arrive(0, 300, 20*time.Millisecond)
		r.expectServed(300)
		if !odd || !errors.Is(err, errEnded) || ends > 8 {
			t.Errorf("the odd one has ended: %v, after %d connections, %v", odd, ends, err)
		}
		if took := r.slowest(); took > 300*time.Millisecond {
			t.Errorf("another one took %v", took)
		}
	})
}

// Connections that end when the upstream is away again and again do not count against the session.
func TestConnectionsThatEndInRestarts(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		conn, place, err := r.Dial(t.Context(), nil)
		for i := range 8 {
			if err != nil {
				t.Fatal(err)
			}
			r.close(conn)
			r.client(t.Context(), i)
			r.pass(100 * time.Millisecond) // it is answered
			r.set(refused)
			r.client(t.Context(), 100+i)
			r.pass(100 * time.Millisecond)
			r.set(fine)
			conn, err = place.Ended(t.Context(), errEnded)
		}
		if err == nil {
			r.close(conn)
		}
		r.pass(time.Second)
		r.expectServed(16)
	})
}

// An upstream that does many slow logins at one time gets them.
func TestSlowLoginsAfterAnOutage(t *testing.T) {
	inBubble(t, time.Minute, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.arrive(0, 200, time.Millisecond)
		r.slow(2 * time.Second)
		r.set(fine)
		r.pass(6500 * time.Millisecond) // 2 s for the trial, and 2 s for the last login
		r.expectServed(200)
	})
}

// A login that ends after its turn widens the window, and that lets another client dial.
func TestWindowOverALongDistance(t *testing.T) {
	inBubble(t, time.Minute, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.arrive(0, 1000, time.Millisecond)
		r.slow(300 * time.Millisecond)
		r.set(fine)
		for range 300 {
			r.pass(10 * time.Millisecond)
			r.Line.mu.Lock()
			if v := r.recovery; v != nil && r.outage == nil && r.queue.Len() > 0 && v.dialling < v.window {
				t.Errorf("%d wait, though only %d of %d dial", r.queue.Len(), v.dialling, v.window)
			}
			r.Line.mu.Unlock()
		}
	})
}

// An upstream that is slow from the start is not away, nor one that has become slow in an outage.
func TestDistantUpstream(t *testing.T) {
	for name, before := range map[string]health{"at the start": fine, "after an outage": refused} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
				r.slow(4500 * time.Millisecond)
				r.heardEvery(t.Context(), 1500*time.Millisecond)
				if before != fine {
					r.slow(time.Millisecond)
					r.client(t.Context(), 1000)
					r.pass(100 * time.Millisecond)
					r.set(before)
					r.arrive(1001, 100, 20*time.Millisecond)
					r.slow(4500 * time.Millisecond)
					r.set(fine)
					r.pass(14 * time.Second)
				}
				outages := r.away
				r.arrive(0, 250, 20*time.Millisecond)
				r.pass(6 * time.Second)
				if r.away != outages || len(r.failed) > 0 {
					t.Errorf("%d outages, failures %v", r.away-outages, r.failed)
				}
				for id := range 250 {
					if r.took[id] > 4600*time.Millisecond {
						t.Fatalf("client %d took %v", id, r.took[id])
					}
				}
			})
		})
	}
}

func TestNamesThatAreGone(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.dnsGone = true
		r.arrive(0, 100, 100*time.Millisecond)
		if n := r.probed(); n > 0 {
			t.Errorf("%d probes", n)
		}
		r.mu.Lock()
		r.dnsGone = false
		r.mu.Unlock()
		r.pass(1100 * time.Millisecond)
		r.expectServed(100)
	})
}
