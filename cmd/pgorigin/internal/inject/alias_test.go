package inject

import (
	"strings"
	"testing"
)

// interceptText is a pod whose application has the name db.prod, with more in its spec.
func interceptText(aliases string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n    pgorigin/intercept: db.prod\nspec:\n" + aliases +
		"  containers:\n  - name: web\n    image: shop:1\n"
}

const entryOfOthers = "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - a # of the user\n"

// The name joins an entry for its address, because API servers refuse two entries in a server-side apply.
func TestInterceptWrites(t *testing.T) {
	for about, c := range map[string]struct{ before, want string }{
		"no entries": {"", "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - db.prod\n"},
		"another address": {
			"  hostAliases: # x\n  - {ip: 10.0.0.1, hostnames: [a]}\n",
			"  hostAliases: # x\n  - ip: 127.0.0.1\n    hostnames:\n    - db.prod\n  - {ip: 10.0.0.1, hostnames: [a]}\n",
		},
		"an entry":              {entryOfOthers, "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - db.prod\n    - a # of the user\n"},
		"an entry in flow":      {"  hostAliases: [{ip: 127.0.0.1, hostnames: [a, b]}]\n", "  hostAliases: [{ip: 127.0.0.1, hostnames: [\"db.prod\", a, b]}]\n"},
		"an entry without name": {"  hostAliases:\n  - ip: 127.0.0.1\n", "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - db.prod\n"},
		"an entry with null":    {"  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n", "    hostnames: # pgorigin: was empty\n    - db.prod\n"},
		"the name already":      {"  hostAliases: [{ip: 127.0.0.1, hostnames: [db.prod]}]\n", "  hostAliases: [{ip: 127.0.0.1, hostnames: [db.prod]}]\n"},
	} {
		for _, newline := range []string{"\n", "\r\n"} {
			before := strings.ReplaceAll(interceptText(c.before), "\n", newline)
			after, notes, err := testInjector(t).Inject([]byte(before))
			if err != nil || textsOf(notes) != injected || !strings.Contains(string(after), strings.ReplaceAll(c.want, "\n", newline)) {
				t.Errorf("%s: %v, %v\n%s", about, err, notes, after)
			}
			if strings.Contains(string(after), "PGHOST") || strings.Count(string(after), "127.0.0.1"+newline)+strings.Count(string(after), "127.0.0.1,") > 1 {
				t.Errorf("%s: variables, or two entries:\n%s", about, after)
			}
			checkRoundTrip(t, []byte(before), after)
		}
	}
}

// A pod that has two entries for the address already gets no third one.
func TestInterceptJoinsTheFirstEntry(t *testing.T) {
	text := interceptText("  hostAliases:\n  - {ip: 127.0.0.1, hostnames: [a]}\n  - {ip: 127.0.0.1, hostnames: [b]}\n")
	after, _, err := testInjector(t).Inject([]byte(text))
	const want = "  hostAliases:\n  - {ip: 127.0.0.1, hostnames: [\"db.prod\", a]}\n  - {ip: 127.0.0.1, hostnames: [b]}\n"
	if err != nil || !strings.Contains(string(after), want) {
		t.Errorf("%v\n%s", err, after)
	}
	checkRoundTrip(t, []byte(text), after)
}

// What inject would have to change in two places at once is refused, with the line.
func TestInterceptRefusesSharedEntries(t *testing.T) {
	for _, aliases := range []string{
		"  hostAliases: &a [{ip: 127.0.0.1, hostnames: [a]}]\n  hostAliases2: *a\n",
		"  other: &a {ip: 127.0.0.1, hostnames: [a]}\n  hostAliases: [*a]\n",
		"  other: &a [a]\n  hostAliases: [{ip: 127.0.0.1, hostnames: *a}]\n",
	} {
		if out, _, err := testInjector(t).Inject([]byte(interceptText(aliases))); err == nil || !strings.Contains(err.Error(), "written out") &&
			!strings.Contains(err.Error(), "write it out in full") {
			t.Errorf("%s: %v\n%s", aliases, err, out)
		}
	}
}

// Only the name goes if the user has added to the entry, and nothing if the name is gone.
func TestInterceptedNameIsOurs(t *testing.T) {
	const ours = "    hostnames:\n    - db.prod\n"
	for about, c := range map[string]struct{ before, from, to, want string }{
		"a second name":      {"", ours, ours + "    - b\n", "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - b\n"},
		"a second entry":     {"", ours, ours + "  - ip: 10.0.0.1\n", "  hostAliases:\n  - ip: 10.0.0.1\n"},
		"another name":       {"", "- db.prod", "- db.test", "  hostAliases:\n  - ip: 127.0.0.1\n    hostnames:\n    - db.test\n"},
		"another address":    {"", "ip: 127.0.0.1", "ip: 127.0.0.2", "  hostAliases:\n  - ip: 127.0.0.2\n    hostnames:\n    - db.prod\n"},
		"the entry is gone":  {"", "  hostAliases:\n  - ip: 127.0.0.1\n" + ours, "", ""},
		"the name is gone":   {entryOfOthers, "    - db.prod\n", "", entryOfOthers},
		"the other is gone":  {entryOfOthers, "    - a # of the user\n", "", "  hostAliases:\n  - ip: 127.0.0.1\n"},
		"an anchor":          {entryOfOthers, "- db.prod", "- &x db.prod", strings.Replace(entryOfOthers, "    - a", "    - &x db.prod\n    - a", 1)},
		"the user's own one": {entryOfOthers, "    - db.prod\n    - a # of the user\n", "    - db.prod\n    - a # of the user\n    - db.prod\n", entryOfOthers + "    - db.prod\n"},
	} {
		after, _, err := testInjector(t).Inject([]byte(interceptText(c.before)))
		if err != nil || !strings.Contains(string(after), c.from) {
			t.Fatalf("%s: %v\n%s", about, err, after)
		}
		back, notes, err := Uninject([]byte(strings.Replace(string(after), c.from, c.to, 1)))
		if err != nil || string(back) != interceptText(c.want) || textsOf(notes) != "uninjected" {
			t.Errorf("%s: %v, %v\n%s", about, err, notes, back)
		}
	}
}

// A second injection with another name, or none, leaves nothing of the first.
func TestInterceptAnotherName(t *testing.T) {
	for _, aliases := range []string{"", entryOfOthers, "  hostAliases: [{ip: 127.0.0.1, hostnames: [a]}]\n"} {
		after, _, err := testInjector(t).Inject([]byte(interceptText(aliases)))
		if err != nil {
			t.Fatal(err)
		}
		for _, annotation := range []string{"pgorigin/intercept: db.test", "pgorigin/log-level: debug"} {
			renamed := func(text string) string { return strings.Replace(text, "pgorigin/intercept: db.prod", annotation, 1) }
			want, _, err := testInjector(t).Inject([]byte(renamed(interceptText(aliases))))
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := testInjector(t).Inject([]byte(renamed(string(after))))
			if err != nil || string(again) != string(want) {
				t.Errorf("%v\n%s\nwant\n%s", err, again, want)
			}
		}
	}
}

// A forged record removes no name that inject would not have written.
func TestForgedAliases(t *testing.T) {
	after, _, err := testInjector(t).Inject([]byte(interceptText("")))
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{
		{`"hostname":"db.prod"`, `"hostname":"localhost"`},
		{`"hostname":"db.prod"`, `"hostname":"db.prod:5432"`},
		{`,"hostname":"db.prod"`, ``},
		{`"alias":"`, `"alias":"x`},
	} {
		forged := strings.Replace(string(after), edit[0], edit[1], 1)
		if forged == string(after) {
			t.Fatalf("%s is not in\n%s", edit[0], after)
		}
		if out, _, err := Uninject([]byte(forged)); err == nil || !strings.Contains(err.Error(), "is not as this version of inject writes it") {
			t.Errorf("%s: %v\n%s", edit[1], err, out)
		}
	}
}

// The CA of pgorigin's own certificate goes into a volume of the user's.
func TestListenCAVolume(t *testing.T) {
	text := strings.Replace(interceptText(""), "intercept: db.prod\n", "intercept: db.prod\n    pgorigin/listen-ca-volume: own\n", 1)
	after, _, err := testInjector(t).Inject([]byte(text))
	for _, want := range []string{
		"- name: PGORIGIN_LISTEN_TLS_CA_FILE\n      value: /etc/pgorigin/listen/ca.crt\n", "- name: own\n      mountPath: /etc/pgorigin/listen\n",
	} {
		if err != nil || !strings.Contains(string(after), want) {
			t.Errorf("%v, no %s in\n%s", err, want, after)
		}
	}
	checkRoundTrip(t, []byte(text), after)
}
