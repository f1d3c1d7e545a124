package observe

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// hostile is what a client may call itself: a second log line, a terminal escape (also as C1) and a change of direction.
const hostile = "eve\n{\"level\":\"info\"}\x1b[2J\u009b31m\u202e\x00\xff"

func TestNoTextBreaksALogLine(t *testing.T) {
	for _, format := range []config.LogFormat{config.FormatJSON, config.FormatConsole} {
		var out bytes.Buffer
		NewLogger(&out, format, zapcore.InfoLevel, nil).Info("session ended", Text("user", hostile), zap.String("raw", hostile))
		line := out.String()
		if strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x1b\x00") {
			t.Errorf("%s: %q", format, line)
		}
		sanitised := strings.Split(line, `"raw"`)[0]
		if strings.ContainsAny(sanitised, "\u009b\u202e") {
			t.Errorf("%s: a sanitised field has an invisible character: %q", format, sanitised)
		}
	}
}

func TestJSONLine(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, config.FormatAuto, zapcore.InfoLevel, nil) // a buffer is no terminal
	log.Debug("too much")
	log.Info("ready", zap.Duration("took", 1500*time.Millisecond))
	var line struct {
		Time    string  `json:"time"`
		Level   string  `json:"level"`
		Message string  `json:"message"`
		Took    float64 `json:"took"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	when, err := time.Parse(time.RFC3339, line.Time)
	if err != nil || time.Since(when).Abs() > time.Minute || !strings.HasSuffix(line.Time, "Z") {
		t.Errorf("time %q: %v", line.Time, err)
	}
	if line.Level != "info" || line.Message != "ready" || line.Took != 1.5 {
		t.Errorf("line = %+v", line)
	}
}

func TestColour(t *testing.T) {
	for _, row := range []struct {
		story    string
		terminal bool
		env      []string
		want     bool
	}{
		{"a terminal", true, []string{"TERM=xterm"}, true},
		{"no terminal", false, []string{"TERM=xterm"}, false},
		{"a dumb one", true, []string{"TERM=dumb"}, false},
		{"NO_COLOR", true, []string{"TERM=xterm", "NO_COLOR=1"}, false},
		{"an empty NO_COLOR counts for nothing", true, []string{"NO_COLOR="}, true},
		{"forced", false, []string{"CLICOLOR_FORCE=1"}, true},
		{"forced on a dumb one", true, []string{"TERM=dumb", "CLICOLOR_FORCE=1"}, true},
		{"not forced", false, []string{"CLICOLOR_FORCE=0"}, false},
		{"NO_COLOR wins", true, []string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, false},
	} {
		if got := host.WantsColour(row.terminal, row.env); got != row.want {
			t.Errorf("%s: colour %v, want %v", row.story, got, row.want)
		}
	}
}

func TestConsoleLine(t *testing.T) {
	for _, row := range []struct {
		env  []string
		want string
	}{
		{nil, " WARN drain cut short {\"open\": 3}\n"},
		{[]string{"CLICOLOR_FORCE=1"}, " \x1b[33mWARN\x1b[0m drain cut short {\"open\": 3}\n"},
	} {
		var out bytes.Buffer
		NewLogger(&out, config.FormatConsole, zapcore.InfoLevel, row.env).Warn("drain cut short", zap.Int("open", 3))
		if _, got, _ := strings.Cut(out.String(), " "); " "+got != row.want {
			t.Errorf("%v: %q, want %q", row.env, out.String(), row.want)
		}
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if host.IsTerminal(f) || host.IsTerminal(new(bytes.Buffer)) {
		t.Error("a file or a buffer was taken for a terminal")
	}
}

// The clock of a console line has no date, and a field has one.
func TestConsoleShowsDates(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, config.FormatConsole, zapcore.InfoLevel, nil)
	log.Warn("certificate has expired", moment("not_after", time.Date(2026, 3, 1, 9, 15, 2, 0, time.UTC)))
	if want := `{"not_after": "2026-03-01T09:15:02.000Z"}`; !strings.Contains(out.String(), want) {
		t.Errorf("%q, want %s in it", out.String(), want)
	}
}
