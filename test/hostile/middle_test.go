//go:build hostile

package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// way is how a client gets to the attacker.
type way struct {
	name    string
	mode    string // strip, pass or bridge; empty is libpq with its own TLS
	require string // AUTH_REQUIRE or require_auth
	file    bool   // AUTH_PASSWORD_FILE
	options []string
}

// requires are the values of AUTH_REQUIRE.
var requires = []string{"", "scram-sha-256", "scram-sha-256-plus", "oauth", "md5", "password", "none"}

func ways() []way {
	all := []way{
		{name: "libpq"},
		{name: "libpq require_auth=scram-sha-256", require: "scram-sha-256", options: []string{"require_auth=scram-sha-256"}},
		{name: "libpq channel_binding=require", require: "scram-sha-256-plus", options: []string{"channel_binding=require"}},
	}
	for _, require := range requires {
		for _, w := range []way{{mode: "strip"}, {mode: "pass"}, {mode: "bridge"}, {mode: "bridge", file: true}} {
			if w.mode != "bridge" && require == "scram-sha-256-plus" {
				continue // a mistake in the configuration: TestOnlyBridgeBinds
			}
			w.name, w.require = strings.TrimSpace(w.mode+" "+require), require
			if w.file {
				w.name = strings.TrimSpace("bridge, password file " + require)
			}
			all = append(all, w)
		}
	}
	return all
}

// result is what an attacker got, in a word for the page.
func result(v verdict, r *record, a attacker) string {
	switch secret := r.secret(); {
	case secret == "password" && v.Connected:
		return "**password, session**"
	case secret != "":
		return "**" + secret + "**"
	case v.Connected && a.bound:
		return "**in the middle**"
	case v.Connected && a.lies:
		return "**believed**"
	case v.Connected && a.asks == "none":
		return "**believed**"
	case v.Connected:
		return "logged in"
	case v.Late && a.short:
		return "the client computes"
	case v.Late:
		return "hangs"
	}
	return "refused"
}

// want says what has to happen, by what the documentation promises; empty is no matter.
func (w way) want(a attacker) string {
	binds := w.mode == "bridge"
	names := func(methods ...string) bool {
		return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(strings.Split(w.require, ","), m) })
	}
	scram := w.require == "" || names("scram-sha-256", "scram-sha-256-plus")
	switch {
	case w.mode == "pass" && a.asks == "scram" && !a.bound, w.mode == "pass" && strings.HasPrefix(a.name, "relays"):
		return "refused" // psql without TLS does not want to see -PLUS
	case (a.short || a.clients) && !binds:
		return "" // the client's own processor, and its own eyes
	case a.lies:
		return "refused"
	case a.asks == "scram" && !scram:
		return "refused"
	case a.bound && binds:
		return "refused"
	case a.bound:
		return "**in the middle**"
	case a.asks == "scram":
		return "logged in"
	case a.asks == "oauth":
		return "refused" // psql has no token
	}
	word := map[string]string{"cleartext": "password", "md5": "md5", "none": "none"}[a.asks]
	if names(word) || (w.require == "" && !binds) {
		return map[string]string{"cleartext": "**password, session**", "md5": "**hash**", "none": "**believed**"}[a.asks]
	}
	return "refused"
}

// TestMenInTheMiddle: an attacker with a valid certificate wants the password, or a session that the client takes for its
// own. It may get neither where README says that it does not, and nowhere more than from libpq that is told the same.
func TestMenInTheMiddle(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	im := newImpostor(t)
	other, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	all := ways()
	addrs := oneProcess(t, im.addr, all)
	list := attackers(shared.postgres.Addr, other.Addr)
	var mu sync.Mutex
	got := map[string]string{} // attacker + way
	var running sync.WaitGroup
	slots := make(chan struct{}, 6)
	for i, w := range all {
		for j, a := range list {
			slots <- struct{}{}
			running.Go(func() {
				defer func() { <-slots }()
				name := fmt.Sprintf("middle/%d/%d", i, j)
				im.script(name, a.play)
				r := result(attack(ctx, im, w, a, addrs[i], name))
				mu.Lock()
				defer mu.Unlock()
				got[a.name+"\x00"+w.name] = r
				if want := w.want(a); want != "" && r != want && w.mode != "" {
					t.Errorf("%s | %s: %s, want %s", w.name, a.name, r, want)
				}
			})
		}
	}
	running.Wait()
	if !t.Failed() {
		comparePage(t, list, got)
	}
}

func attack(ctx context.Context, im *impostor, w way, a attacker, addr, name string) (verdict, *record, attacker) {
	limit := patience
	if a.short && w.mode != "bridge" {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var v verdict
	if w.mode == "" {
		v = direct(ctx, im.addr, name, w.options...)
	} else {
		v = psql(ctx, []string{"LD_LIBRARY_PATH=" + shared.libpq18}, servers.DSN(addr, "application_name="+name))
	}
	r, _ := im.recordOf(name)
	return v, r, a
}

// oneProcess serves all ways but the direct ones as origins of one pgorigin.
func oneProcess(t *testing.T, upstream string, all []way) map[int]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(servers.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs := map[int]string{}
	var names, env []string
	for i, w := range all {
		if w.mode == "" {
			continue
		}
		port, err := shared.lab.Port()
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = "127.0.0.1:" + port
		name := fmt.Sprintf("way%d", i)
		names = append(names, name)
		prefix := "PGORIGIN_" + strings.ToUpper(name) + "_"
		env = append(env, prefix+"UPSTREAM_ADDR="+upstream, prefix+"LISTEN_ADDR="+addrs[i],
			prefix+"AUTH_CHANNEL_BINDING="+w.mode, prefix+"AUTH_REQUIRE="+w.require)
		if w.file {
			env = append(env, prefix+"AUTH_PASSWORD_FILE="+file)
		}
	}
	startOrigin(t, upstream, append(env, "PGORIGIN_ORIGINS="+strings.Join(names, ","))...)
	return addrs
}

// TestOnlyBridgeBinds: nobody may believe that strip or pass with scram-sha-256-plus protects from anything.
func TestOnlyBridgeBinds(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"strip", "pass"} {
		origin, err := shared.lab.Launch(shared.binary, "127.0.0.1:1", "PGORIGIN_AUTH_CHANNEL_BINDING="+mode,
			"PGORIGIN_AUTH_REQUIRE=scram-sha-256-plus")
		if err != nil {
			t.Fatal(err)
		}
		code, err := origin.ExitCode(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if log := origin.Log.String(); code != 78 || !strings.Contains(log, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge") {
			t.Errorf("%s: exit code %d, want 78 and the cure; it says:\n%s", mode, code, log)
		}
		endOrigin(t, origin.Process)
	}
}
