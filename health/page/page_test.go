package page

import (
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/health"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// page returns the answer at target in s, with a reference to the style sheet in its place.
func page(t *testing.T, s health.Snapshot, target string) answered {
	t.Helper()
	got := ask(t, Handler(func() health.Snapshot { return s }), http.MethodGet, target)
	got.body = strings.Replace(got.body, styleSheet, `@import "../page.css";`, 1)
	return got
}

// The golden files have the page in each state, to be read, or looked at in a browser, by whoever changes it.
func TestPageByState(t *testing.T) {
	for _, state := range pageStates() {
		if state.name == "hostile" {
			continue // that is not to be looked at
		}
		t.Run(state.name, func(t *testing.T) {
			golden(t, "testdata/"+state.name+".html", page(t, state.snapshot, "/").body)
		})
	}
}

// What somebody on call reads first.
func TestSummary(t *testing.T) {
	for name, want := range map[string]string{
		"starting":            "Starting: Condition: listener",
		"untried":             "Working",
		"ready":               "Working",
		"expiry":              "Working, needs attention: A certificate has expired or expires soon",
		"attention":           "Working, needs attention: Key exchange with 10.2.0.7:6432 uses a fallback; Recent failures; New certificate files were refused; A certificate has expired or expires soon",
		"upstream-away":       "Waiting for the upstream: The upstream is away, 23 clients wait",
		"address-silent":      "Working, needs attention: Address 10.2.0.6:6432 is not used: silent",
		"upstream-down":       "Not working: The upstream cannot be used",
		"certificate-expired": "Not working: The upstream cannot be used; A certificate has expired or expires soon",
		"server-full":         "Not working: The upstream cannot be used",
		"readiness-upstream":  "Not ready: Condition: upstream",
		"stuck":               "Not working",
		"draining":            "Stopping",
		"several-origins":     "Partly down: The upstream cannot be used",
	} {
		s := summarize(stateNamed(name))
		titles := []string{}
		for _, f := range s.Findings {
			titles = append(titles, f.Title)
		}
		got := s.Word
		if len(titles) > 0 {
			got += ": " + strings.Join(titles, "; ")
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}

// Nobody is served in order when nobody waits.
func TestOutageWithoutClients(t *testing.T) {
	s := stateNamed("upstream-away")
	for i := range s.Origins {
		s.Origins[i].Wait.Waiting = 0
	}
	got := summarize(s)
	if got.Findings[0].Title != "The upstream was away at the last try" || strings.Contains(got.Sentence, "in order") ||
		!strings.Contains(got.Sentence, "No client waits") {
		t.Errorf("summary is %+v", got)
	}
}

// A person who has to enter a password first leaves one failure each time.
func TestHarmlessFailuresCallForNoAttention(t *testing.T) {
	s := stateNamed("ready")
	s.Origins[0].Failures = []health.Failure{{Problem: health.Problem{Reason: "login_abandoned"}, Count: 1, Last: ago(time.Second), Harmless: true}}
	if got := summarize(s); got.Word != "Working" || got.Sentence != "Clients can connect. The upstream has proved its identity." {
		t.Errorf("summary is %+v", got)
	}
	s.Origins[0].Failures[0].Harmless = false
	if got := summarize(s); got.Level != warn || !strings.Contains(got.Sentence, "something has failed") {
		t.Errorf("summary is %+v", got)
	}
}

// Nothing "works" for a server that lets nobody in, though its certificate is good.
func TestNobodyGotThrough(t *testing.T) {
	s := stateNamed("untried")
	s.Origins[0].Failures = []health.Failure{{Problem: health.Problem{Reason: "auth_rejected"}, Count: 1, Last: ago(time.Second)}}
	if got := summarize(s); got.Word != "Needs attention" || !strings.HasPrefix(got.Sentence, "No client has got through since the start. ") {
		t.Errorf("summary is %+v", got)
	}
	s.Origins[0].Failures[0].Harmless = true
	if got := summarize(s); got.Word != "Working" || !strings.Contains(got.Sentence, "its state is unknown") {
		t.Errorf("with a harmless failure, summary is %+v", got)
	}
	s.Origins[0].Failures[0].Harmless = false
	s.Origins[0].Probe.State = health.ProbeUp
	if got := summarize(s); got.Word != "Working, needs attention" || strings.Contains(got.Sentence, "can connect") {
		t.Errorf("after a success, summary is %+v", got)
	}
}

func TestPageIsServedAtTheRootAlone(t *testing.T) {
	s := new(health.Status)
	s.Started()
	h := health.Handler(s, Handler(s.Snapshot), http.NotFoundHandler())
	got := ask(t, h, http.MethodGet, "/")
	if got.code != http.StatusOK || !strings.HasPrefix(got.body, "<!DOCTYPE html>\n<html") {
		t.Errorf("/ = %d %.40s", got.code, got.body)
	}
	for key, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if got.header.Get(key) != want {
			t.Errorf("%s is %q", key, got.header.Get(key))
		}
	}
	policy := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$`)
	if csp := got.header.Get("Content-Security-Policy"); !policy.MatchString(csp) {
		t.Errorf("the policy is %q", csp)
	}
	if head := ask(t, h, http.MethodHead, "/"); head.code != http.StatusOK || head.body != "" || head.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("HEAD / = %d %v", head.code, head.header)
	}
	for _, path := range []string{"/index.html", "/favicon.ico", "/x"} {
		if got := ask(t, h, http.MethodGet, path); got.code != http.StatusNotFound {
			t.Errorf("%s = %d", path, got.code)
		}
	}
}

func TestPageMovesOnlyIfAsked(t *testing.T) {
	const meta = `http-equiv="refresh" content="15"`
	if strings.Contains(page(t, stateNamed("ready"), "/").body, meta) {
		t.Error("the page refreshes itself")
	}
	if !strings.Contains(page(t, stateNamed("ready"), "/?refresh").body, meta) {
		t.Error("/?refresh does not refresh itself")
	}
}

// Hostile texts make no element, attribute or character that harmless ones do not, and do not blow up the
// page.
func TestHostileTextsOnThePage(t *testing.T) {
	harmless := []string{}
	for i := range hostileTexts() {
		harmless = append(harmless, "harmless "+strconv.Itoa(i))
	}
	want, got := page(t, hostilePage(harmless), "/").body, page(t, hostilePage(hostileTexts()), "/").body
	wantElements, gotElements := elements(t, want), elements(t, got)
	if !slices.EqualFunc(wantElements, gotElements, func(a, b element) bool {
		return a.name == b.name && a.keys() == b.keys() && a.attrs["class"] == b.attrs["class"] && a.attrs["id"] == b.attrs["id"] && a.attrs["href"] == b.attrs["href"]
	}) {
		t.Errorf("there are %d elements, and %d with harmless texts, or they differ", len(gotElements), len(wantElements))
	}
	if strings.ContainsFunc(got, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}) {
		t.Error("control characters are on the page")
	}
	if len(got) > 1<<20 {
		t.Errorf("the page has %d bytes", len(got))
	}
}

// Every text has the contrast of WCAG AA, 4.5 to 1, on everything that it is written on, in light and dark.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(styleSheet, "@media screen and (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark style")
	}
	dark, _, _ = strings.Cut(dark, "@media")
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
			colours[m[1]] = m[2]
		}
		for ink, papers := range map[string][]string{
			"ink": {"paper", "card", "good-paper", "warn-paper", "wait-paper", "bad-paper"}, "soft": {"paper", "card"}, "link": {"paper", "card"},
			"good": {"card", "good-paper"}, "warn": {"card", "warn-paper"}, "wait": {"card", "wait-paper"}, "bad": {"card", "bad-paper"},
		} {
			for _, paper := range papers {
				if got := contrast(t, colours[ink], colours[paper]); got < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", scheme, ink, paper, got)
				}
			}
		}
		if got := contrast(t, colours["bar"], colours["card"]); got < 3 { // what is no text needs less
			t.Errorf("%s: bars have a contrast of %.2f", scheme, got)
		}
	}
}

// contrast is the ratio of two colours, as WCAG defines it.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	brighter, darker := luminance(t, a)+.05, luminance(t, b)+.05
	return max(brighter, darker) / min(brighter, darker)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(colour, 16, 32)
	if err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	linear := func(shift int) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= .04045 {
			return c / 12.92
		}
		return math.Pow((c+.055)/1.055, 2.4)
	}
	return .2126*linear(16) + .7152*linear(8) + .0722*linear(0)
}

// golden compares, or writes the file if the tests run with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the text differs from %s (run with -update and read the diff):\n%s", file, got)
	}
}

// answered is a response as a client sees it.
type answered struct {
	code   int
	header http.Header
	body   string
}

func ask(t *testing.T, h http.Handler, method, target string) answered {
	t.Helper()
	return do(h, httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody))
}

// do drops the body of an answer to HEAD, as net/http does on the wire; a recorder keeps it.
func do(h http.Handler, req *http.Request) answered {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if req.Method == http.MethodHead {
		rec.Body.Reset()
	}
	return answered{rec.Code, rec.Header(), rec.Body.String()}
}
