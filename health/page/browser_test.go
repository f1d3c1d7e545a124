//go:build browser

package page

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/health"
)

// screens is where screenshots are kept.
var screens = flag.String("screens", "", "keep screenshots of the status page in this folder")

// servePage serves the pages of s as pgorigin does, timeouts and headers included.
func servePage(t *testing.T, s health.Snapshot) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = health.NewServer(Handler(func() health.Snapshot { return s }))
	server.Start()
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// In a real browser the page obeys its own policy, fetches nothing, fits a phone, and can be read in light
// and dark.
func TestPageInChromium(t *testing.T) {
	c := startChromium(t)
	folder := *screens
	if folder == "" {
		folder = t.TempDir()
	}
	for _, state := range pageStates() {
		url := servePage(t, state.snapshot)
		for _, view := range []struct {
			width          int
			scheme, medium string
		}{{1280, "light", ""}, {1280, "dark", ""}, {390, "light", ""}, {390, "dark", ""}, {794, "dark", "print"}} {
			name := fmt.Sprintf("%s-%d-%s%s", state.name, view.width, view.scheme, view.medium)
			t.Run(name, func(t *testing.T) {
				c.show(t, view.width, view.scheme, view.medium)
				c.open(t, url)
				assertQuiet(t, c, url)
				assertFits(t, c, view.width)
				assertColours(t, c, view.scheme == "dark" && view.medium != "print")
				c.screenshot(t, filepath.Join(folder, name+".png"))
			})
		}
	}
}

// assertQuiet fails if the browser fetched anything but the page, or complained of it.
func assertQuiet(t *testing.T, c *chromium, url string) {
	t.Helper()
	requests := 0
	for _, e := range c.events {
		switch e.Method {
		case "Network.requestWillBeSent":
			requests++
			if !strings.Contains(string(e.Params), `"url":"`+url+`"`) {
				t.Errorf("a request of the page: %v", e)
			}
		case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded", "Network.loadingFailed":
			t.Errorf("the browser complains: %v", e)
		}
	}
	var pwned bool
	c.evaluate(t, "'pwned' in window || document.scripts.length > 0 || document.images.length > 0", &pwned)
	if requests != 1 || pwned {
		t.Errorf("%d requests; foreign markup on the page: %t", requests, pwned)
	}
}

// assertFits fails if one has to scroll sideways, or something sticks out of the page.
func assertFits(t *testing.T, c *chromium, width int) {
	t.Helper()
	var widest struct {
		Page int
		Out  []string
	}
	c.evaluate(t, `({Page: document.documentElement.scrollWidth, Out: [...document.querySelectorAll("body *")]
		.filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
		.map(e => e.outerHTML.slice(0, 100))})`, &widest)
	if widest.Page > width || len(widest.Out) > 0 {
		t.Errorf("the page is %d wide, not %d; outside: %q", widest.Page, width, widest.Out)
	}
}

// assertColours fails if the style sheet was not applied, or not that of the scheme.
func assertColours(t *testing.T, c *chromium, dark bool) {
	t.Helper()
	var ink string
	c.evaluate(t, "getComputedStyle(document.documentElement).color", &ink)
	if want := map[bool]string{false: "rgb(26, 31, 38)", true: "rgb(232, 235, 239)"}[dark]; ink != want {
		t.Errorf("text is %s, want %s", ink, want)
	}
}

// The checks above do find something: a page like ours that breaks the policy in every way is noticed.
func TestChromiumTellsOfBrokenPages(t *testing.T) {
	c := startChromium(t)
	s := stateNamed("ready")
	handler := Handler(func() health.Snapshot { return s })
	server := httptest.NewServer(handlerThat(handler, `<script>window.pwned=1</script><img src="http://`+closedPort(t)+`/x.png"><p style="width:3000px">wide</p>`))
	t.Cleanup(server.Close)
	c.show(t, 390, "light", "")
	c.open(t, server.URL+"/")
	complaints := 0
	for _, e := range c.events {
		if e.Method == "Log.entryAdded" && strings.Contains(string(e.Params), "Content Security Policy") {
			complaints++
		}
	}
	var ran bool
	c.evaluate(t, "'pwned' in window", &ran)
	if complaints < 3 || ran {
		t.Errorf("%d complaints, the script ran: %t; want three and false", complaints, ran)
	}
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}

// handlerThat answers like h with more markup at the end.
func handlerThat(h http.Handler, more string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		_, _ = w.Write([]byte(more))
	})
}
