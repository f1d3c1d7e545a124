//go:build browser

package page

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// chromium is a browser without a window, told what to do over a pipe in its DevTools protocol.
type chromium struct {
	in      *os.File
	theirs  *os.File // what out reads
	out     *bufio.Reader
	session string // of the one page that there is
	id      int
	events  []message // that came so far
}

// message is a command's answer or an event.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// startChromium starts a browser that ends with the test.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	theirIn, in := pipe(t)
	out, theirOut := pipe(t)
	// Root has no sandbox to offer, and nothing but pages of this test is looked at.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start of chromium (make browser installs it): %v", err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	c := &chromium{in: in, theirs: out, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_, _ = fmt.Fprint(in, `{"id":0,"method":"Browser.close"}`, "\x00")
		_ = out.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Process.Kill() // if it did not end by itself
		_, _, _ = cmd.Wait(), in.Close(), out.Close()
	})
	var target struct{ TargetID string }
	c.call(t, "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call(t, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Network", "Log", "Runtime", "Audits"} {
		c.call(t, domain+".enable", nil, nil)
	}
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// call sends a command and waits for its answer, which is put into result unless that is nil.
func (c *chromium) call(t *testing.T, method string, params map[string]any, result any) {
	t.Helper()
	c.id++
	command := map[string]any{"id": c.id, "method": method}
	if params != nil {
		command["params"] = params
	}
	if c.session != "" {
		command["sessionId"] = c.session
	}
	line, err := json.Marshal(command)
	if err == nil {
		_, err = c.in.Write(append(line, 0))
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	for {
		m := c.read(t)
		if m.ID != c.id {
			continue
		}
		if m.Error != nil {
			t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				t.Fatalf("%s: %v in %s", method, err, m.Result)
			}
		}
		return
	}
}

// read returns the next message; events are kept.
func (c *chromium) read(t *testing.T) message {
	t.Helper()
	_ = c.theirs.SetReadDeadline(time.Now().Add(time.Minute)) // nothing takes nearly as long
	line, err := c.out.ReadBytes(0)
	var m message
	if err == nil {
		err = json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m)
	}
	if err != nil {
		t.Fatalf("message from chromium: %v", err)
	}
	if m.Method != "" {
		c.events = append(c.events, m)
	}
	return m
}

// open loads url and returns the events until it is loaded.
func (c *chromium) open(t *testing.T, url string) {
	t.Helper()
	c.events = nil
	c.call(t, "Page.navigate", map[string]any{"url": url}, nil)
	for !c.happened("Page.loadEventFired") {
		c.read(t)
	}
	c.evaluate(t, "document.fonts.ready.then(() => true)", new(bool))
}

func (c *chromium) happened(method string) bool {
	for _, e := range c.events {
		if e.Method == method {
			return true
		}
	}
	return false
}

// show sets the width in CSS pixels, the colour scheme and the medium.
func (c *chromium) show(t *testing.T, width int, scheme, medium string) {
	t.Helper()
	c.call(t, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	c.call(t, "Emulation.setEmulatedMedia", map[string]any{
		"media": medium, "features": []map[string]any{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

// evaluate puts the value of an expression into result.
func (c *chromium) evaluate(t *testing.T, expression string, result any) {
	t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.call(t, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.ExceptionDetails != nil {
		t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if err := json.Unmarshal(answer.Result.Value, result); err != nil {
		t.Fatalf("%s is %s: %v", expression, answer.Result.Value, err)
	}
}

// screenshot writes the whole page, not only what a window shows, as PNG.
func (c *chromium) screenshot(t *testing.T, file string) {
	t.Helper()
	var shot struct{ Data []byte }
	c.call(t, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	if err := os.WriteFile(file, shot.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	if len(shot.Data) < 1000 {
		t.Errorf("%s: the screenshot has %d bytes", file, len(shot.Data))
	}
}

func (m message) String() string { return fmt.Sprintf("%s %s", m.Method, m.Params) }
