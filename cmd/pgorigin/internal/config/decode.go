package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// The types of settings. Each has a Decode method, which envconfig calls, and whose error says what was expected and
// what to do; the variable and the value are added by whoever reports it. A failed Decode leaves its receiver alone.

// UpstreamAddrs are addresses to try in order, each host:port.
type UpstreamAddrs []string

// Decode reads a comma list of host or host:port.
func (a *UpstreamAddrs) Decode(value string) error {
	addrs, err := parseAddrs(value, addrRules{defaultPort: "6432", example: "pgbouncer.prod.svc:6432"})
	if err == nil {
		*a = addrs
	}
	return err
}

func (a UpstreamAddrs) String() string { return strings.Join(a, ",") }

// listenAddrs are addresses to accept clients on, each unix:/path, or host:port where an empty host is every address.
type listenAddrs []string

// Decode reads a comma list of host:port and unix:/path.
func (a *listenAddrs) Decode(value string) error {
	addrs, err := parseAddrs(value, addrRules{defaultPort: "6432", example: "127.0.0.1:6432", emptyHost: true, sockets: true})
	if err == nil {
		*a = addrs
	}
	return err
}

func (a listenAddrs) String() string { return strings.Join(a, ",") }

// healthAddr is the host:port of the health endpoints; empty is off.
type healthAddr string

// Decode reads one host:port, or off.
func (a *healthAddr) Decode(value string) error {
	if strings.TrimSpace(value) == "off" {
		*a = ""
		return nil
	}
	addrs, err := parseAddrs(value, addrRules{example: "127.0.0.1:9632 or off", emptyHost: true})
	if err != nil {
		return err
	}
	if len(addrs) != 1 {
		return errors.New("expected one address; keep one of them")
	}
	*a = healthAddr(addrs[0])
	return nil
}

func (a healthAddr) String() string {
	if a == "" {
		return "off"
	}
	return string(a)
}

// tlsVersion is a version number as crypto/tls has it.
type tlsVersion uint16

// Decode reads 1.2 or 1.3, also in the way that libpq writes them.
func (v *tlsVersion) Decode(value string) error {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "1.2", "tlsv1.2":
		*v = tls.VersionTLS12
	case "1.3", "tlsv1.3":
		*v = tls.VersionTLS13
	case "1.0", "1.1", "tlsv1", "tlsv1.0", "tlsv1.1":
		return errors.New("expected 1.2 or 1.3; older versions are broken, so update the upstream instead")
	default:
		return errors.New("expected 1.2 or 1.3; leave it out for 1.2")
	}
	return nil
}

func (v tlsVersion) String() string { return strings.TrimPrefix(tls.VersionName(uint16(v)), "TLS ") }

// Period is a duration greater than zero.
type Period time.Duration

// Decode reads a Go duration.
func (p *Period) Decode(value string) error {
	const expected = "expected a duration with its unit, such as 500ms, 10s or 1m30s"
	value = strings.TrimSpace(value)
	d, err := time.ParseDuration(value)
	switch {
	case err == nil && d > 0:
		*p = Period(d)
		return nil
	case err == nil:
		return errors.New("expected a duration above zero, such as 10s; nothing may wait for ever")
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return fmt.Errorf("%s; did you mean %ss?", expected, value)
	}
	return errors.New(expected)
}

func (p Period) String() string { return time.Duration(p).String() }

// Delay is a duration from zero, which is none, on.
type Delay time.Duration

// Decode reads a Go duration, 0 or off.
func (d *Delay) Decode(value string) error {
	value = strings.TrimSpace(value)
	var p Period
	switch length, err := time.ParseDuration(value); {
	case strings.EqualFold(value, "off"), err == nil && length == 0:
		*d = 0
		return nil
	case err == nil && length < 0:
		return errors.New("expected a duration such as 10s, or 0 for none")
	}
	if err := p.Decode(value); err != nil {
		return err
	}
	*d = Delay(p)
	return nil
}

func (d Delay) String() string { return time.Duration(d).String() }

// limit is a number of things; zero is no limit.
type limit int

// Decode reads a whole number from zero on.
func (l *limit) Decode(value string) error {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < 0 {
		return errors.New("expected a whole number such as 100; 0 is no limit")
	}
	*l = limit(n)
	return nil
}

// LogLevel is the lowest level that is logged.
type LogLevel zapcore.Level

// Decode reads one of the four levels in use.
func (l *LogLevel) Decode(value string) error {
	word, err := oneOf(value, "debug", "info", "warn", "error")
	if err != nil {
		return err
	}
	level, err := zapcore.ParseLevel(word)
	*l = LogLevel(level)
	return err
}

func (l LogLevel) String() string { return zapcore.Level(l).String() }

// LogFormat is how log lines look.
type LogFormat string

const (
	FormatAuto    LogFormat = "auto"
	FormatJSON    LogFormat = "json"
	FormatConsole LogFormat = "console"
)

// Decode reads one of the formats.
func (f *LogFormat) Decode(value string) error {
	word, err := oneOf(value, string(FormatAuto), string(FormatJSON), string(FormatConsole))
	if err == nil {
		*f = LogFormat(word)
	}
	return err
}

// unknownPolicy is what happens to PGORIGIN_ variables that nobody knows.
type unknownPolicy string

const (
	unknownError  unknownPolicy = "error"
	unknownWarn   unknownPolicy = "warn"
	unknownIgnore unknownPolicy = "ignore"
)

// Decode reads one of the policies.
func (u *unknownPolicy) Decode(value string) error {
	word, err := oneOf(value, string(unknownError), string(unknownWarn), string(unknownIgnore))
	if err == nil {
		*u = unknownPolicy(word)
	}
	return err
}

// oneOf returns value if it is one of words, whatever its case.
func oneOf(value string, words ...string) (string, error) {
	word := strings.ToLower(strings.TrimSpace(value))
	if slices.Contains(words, word) {
		return word, nil
	}
	last := len(words) - 1
	expected := fmt.Sprintf("expected %s or %s", strings.Join(words[:last], ", "), words[last])
	if near := Nearest(word, words); near != "" {
		return "", fmt.Errorf("%s; did you mean %s?", expected, near)
	}
	return "", errors.New(expected)
}
