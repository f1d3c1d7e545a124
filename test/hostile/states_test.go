//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// points of a login by SCRAM at which a message comes out of turn: before the step of this name. At "relay" it comes
// behind ReadyForQuery in the same write, at "query" instead of the answer to the first query.
var points = []string{"sasl", "continue", "final", "ok", "settings", "key", "ready", "relay", "query"}

// The messages. Each comes at each point, whether it has its place there or not.
var (
	askings = []string{"ok", "cleartext", "md5", "sasl", "continue", "final", "gss", "gss-continue", "sspi", "unknown-auth"}
	others  = []string{"ready", "settings", "key", "notice", "error", "row", "copy-both", "unknown"}
	lengths = []string{"R-0", "R-3", "R-2G", "R-4G", "R-64M", "N-64M", "E-2G"}
)

// variant is one message at one point; then the login goes on as if nothing had been, or its rest is left out.
type variant struct {
	point, kind string
	skips       bool
}

func variants() (all []variant) {
	skipping := []string{"ok", "ready", "cleartext", "md5", "sasl", "final", "error", "gss"}
	for _, point := range points {
		kinds := slices.Concat(askings, others, lengths)
		if point == "relay" || point == "query" {
			kinds = append(slices.Clone(askings), "notice") // the rest is between client and server
		}
		for _, kind := range kinds {
			all = append(all, variant{point, kind, false})
			if slices.Contains(skipping, kind) && point != "relay" && point != "query" {
				all = append(all, variant{point, kind, true})
			}
		}
	}
	return all
}

// TestLoginStates: a verified upstream wants a password that nobody owes it, or a client that believes in a login that was
// never proved. No secret may leave and no client be logged in, unless a simple model says that the sequence is legal.
func TestLoginStates(t *testing.T) {
	im := newImpostor(t)
	for _, way := range []struct {
		name string
		env  []string
		legal
	}{
		{"strip", nil, legal{anything: true}},
		{"strip-scram", []string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256"}, legal{}},
		{"bridge", []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge"}, legal{}},
		{"bridge-spares", []string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_WARM_SPARES=2"}, legal{}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			origin := startOrigin(t, im.addr, way.env...)
			var running sync.WaitGroup
			defer running.Wait()
			slots := make(chan struct{}, 6)
			for _, v := range variants() {
				steps := v.sequence()
				allowed := way.judge(steps)
				for _, driver := range judgesOf(way.name, v.kind) {
					slots <- struct{}{}
					running.Go(func() {
						defer func() { <-slots }()
						name := fmt.Sprintf("%s/%s/%s/%t/%s", way.name, v.point, v.kind, v.skips, driver)
						im.script(name, func(c *caller) { play(c, steps) })
						im.judgeState(t, origin, driver, name, allowed)
					})
				}
			}
		})
	}
}

// judgesOf: all drivers where they differ, fewer where the road is the same.
func judgesOf(way, kind string) []string {
	switch {
	case slices.Contains(lengths, kind):
		return []string{"psql"}
	case way == "bridge-spares":
		return []string{"pq"}
	case way == "strip-scram":
		return []string{"psql", "pq"}
	}
	return drivers
}

// permitted is what the model says about a sequence.
type permitted struct {
	connect, answer, secret bool
	free                    bool // whether there is an answer is between client and server
}

func (im *impostor) judgeState(t *testing.T, origin *servers.Origin, driver, name string, allowed permitted) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	v := login(ctx, driver, origin.Addr, name)
	r, over := im.recordOf(name)
	switch secret := r.secret(); {
	case secret != "" && !allowed.secret:
		t.Errorf("%s: the %s has left", name, secret)
	case v.Connected && !allowed.connect:
		t.Errorf("%s: the client believes that it is logged in (%s)", name, v.Error)
	case allowed.free:
	case v.Answered && !allowed.answer:
		t.Errorf("%s: the client took an answer", name)
	case allowed.answer && !v.Answered:
		t.Errorf("%s is legal, but the client says: %s", name, v.Error)
	case v.Late || !over:
		t.Errorf("%s: hangs, cut off after %s", name, time.Since(began).Round(time.Second))
	case !allowed.answer && v.Error == "":
		t.Errorf("%s: no error", name)
	}
}

// sequence is a login by SCRAM with one message more, which has a plus.
func (v variant) sequence() []string {
	i := slices.Index(points, v.point)
	steps := append(slices.Clone(points[:i]), "+"+v.kind)
	if v.skips {
		i = max(i, slices.Index(points, "settings"))
	}
	return append(steps, points[i:]...)
}

// legal is the model: what a login may be, in a way that accepts anything or nothing but SCRAM.
type legal struct{ anything bool }

func (l legal) judge(steps []string) (p permitted) {
	state, keys := "start", 0
	for _, step := range steps {
		step, extra := strings.CutPrefix(step, "+")
		if state == "ready" && extra && step != "notice" {
			return p // an authentication request
		}
		if state == "ready" && step != "notice" && step != "relay" && step != "query" {
			p.free = true
			continue
		}
		if step == "notice" || (step == "relay" && state == "ready") || (step == "query" && state == "ready") {
			p.answer = step == "query" || p.answer
			p.free = p.free || (state != "ok" && state != "ready") // libpq itself takes no notice before AuthenticationOk
			continue
		}
		switch state + " " + step {
		case "start sasl":
			state = "sasl"
		case "sasl continue":
			state = "continue"
		case "continue final":
			state = "final"
		case "final ok":
			state = "ok"
		case "start ok", "asked ok":
			if !l.anything {
				return p
			}
			state = "ok"
		case "start cleartext", "start md5":
			if !l.anything {
				return p
			}
			state, p.secret = "asked", true
		case "start gss", "start sspi":
			p.free = l.anything // a client that cannot do it may stumble
			return p
		case "ok settings":
		case "ok key":
			if keys++; keys > 1 {
				return p
			}
		case "ok ready":
			state, p.connect = "ready", true
		default:
			return p
		}
	}
	return p
}

// play sends the steps, as many as go in one write, and waits for an answer where one is due.
func play(c *caller, steps []string) {
	s := &scram{password: servers.Password}
	var out bytes.Buffer
	var answered message
	flush := func() {
		c.send(out.Bytes())
		out.Reset()
	}
	for i, step := range steps {
		name, extra := strings.CutPrefix(step, "+")
		if step == "query" {
			if flush(); strings.HasPrefix(steps[i-1], "+") {
				c.send(answer())
			}
			c.serveQueries()
			return
		}
		if extra && i+1 < len(steps) && steps[i+1] == "query" { // instead of an answer
			flush()
			c.await(patience)
		}
		out.Write(stepBytes(name, s, answered))
		switch name {
		case "sasl", "continue", "cleartext", "md5", "gss", "gss-continue", "sspi", "unknown-auth":
			flush()
			limit := patience
			if extra {
				limit = 300 * time.Millisecond
			}
			if m := c.await(limit); m.kind == 'p' {
				answered = m
			}
		}
		if slices.Contains(lengths, name) {
			flush()
			c.linger() // silent from here on: the length alone must end it
			return
		}
	}
	flush()
	c.linger()
}

// stepBytes is what a server says at a step.
func stepBytes(name string, s *scram, answered message) []byte {
	const junk = "\x00\x00\x00\x03" // AuthenticationCleartextPassword, for who does not look at the length
	switch name {
	case "sasl":
		return askSASL("SCRAM-SHA-256")
	case "continue":
		first := saslInitial(answered.body)
		return saslFirst(s.challenge(first))
	case "final":
		return saslFinal(s.final(string(answered.body)))
	case "ok":
		return authOk()
	case "settings":
		return settings()
	case "key":
		return keyData()
	case "ready":
		return ready()
	case "relay":
		return nil
	case "cleartext":
		return askCleartext()
	case "md5":
		return askMD5()
	case "gss":
		return askGSS()
	case "gss-continue":
		return gssContinue()
	case "sspi":
		return askSSPI()
	case "unknown-auth":
		return authentication(77, "")
	case "notice":
		return notice()
	case "error":
		return fatal()
	case "row":
		return frame('D', "\x00\x01\x00\x00\x00\x011")
	case "copy-both":
		return frame('W', "\x00\x00\x00")
	case "unknown":
		return frame('?', "what")
	case "R-0":
		return framed('R', 0, junk)
	case "R-3":
		return framed('R', 3, junk)
	case "R-2G":
		return framed('R', 1<<31-1, junk)
	case "R-4G":
		return framed('R', 1<<32-1, junk)
	case "R-64M":
		return framed('R', 64<<20, junk+strings.Repeat("x", 1<<16))
	case "N-64M":
		return framed('N', 64<<20, strings.Repeat("x", 1<<16))
	case "E-2G":
		return framed('E', 1<<31-1, strings.Repeat("x", 1<<16))
	}
	panic(fmt.Sprintf("no step %q", name))
}
