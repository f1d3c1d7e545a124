package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type says which values a variable may have.
type Type struct {
	Name  string   // for people, such as "duration"
	Words []string // all values; nil means that they cannot be listed
	// parse returns the value in the form that envconfig reads and people see. Its error says what pgorigin
	// expects, and what to do. Whoever reports it adds the variable and the value.
	parse func(value string) (string, error)
}

// off is the value of an address that turns a listener off.
const off = "off"

// text is for values that are taken as they are.
func text(name string) Type {
	return Type{Name: name, parse: func(value string) (string, error) { return value, nil }}
}

// words is for values from a closed list, in any case.
func words(all ...string) Type {
	return Type{Name: "word", Words: all, parse: func(value string) (string, error) { return oneOf(value, all) }}
}

// oneOf returns value in lower case if it is one of words.
func oneOf(value string, words []string) (string, error) {
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

func boolean() Type {
	return Type{Name: "boolean", Words: []string{"true", "false"}, parse: func(value string) (string, error) {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return "", errors.New("expected true or false")
		}
		return strconv.FormatBool(b), nil
	}}
}

// duration is above zero: nothing may wait for ever.
func duration() Type {
	return Type{Name: "duration", parse: func(value string) (string, error) {
		d, err := ParseDuration(value)
		return d.String(), err
	}}
}

// ParseDuration returns a duration above zero, of a variable or a flag. The error says what is expected.
func ParseDuration(value string) (time.Duration, error) {
	const expected = "expected a duration with its unit, such as 500ms, 10s or 1m30s"
	value = strings.TrimSpace(value)
	d, err := time.ParseDuration(value)
	if err == nil && d > 0 {
		return d, nil
	}
	if err == nil {
		return 0, errors.New("expected a duration above zero, such as 10s")
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return 0, fmt.Errorf("%s; did you mean %ss?", expected, value)
	}
	return 0, errors.New(expected)
}

// durationOrOff may be zero or "off", too.
func durationOrOff() Type {
	return Type{Name: "duration", parse: func(value string) (string, error) {
		value = strings.TrimSpace(value)
		switch d, err := time.ParseDuration(value); {
		case strings.EqualFold(value, off), err == nil && d == 0:
			return time.Duration(0).String(), nil
		case err == nil && d < 0:
			return "", errors.New("expected a duration such as 10s, or 0 for none")
		}
		return duration().parse(value)
	}}
}

// probeInterval has a limit because a typing error could keep the upstream busy with handshakes.
func probeInterval() Type {
	return Type{Name: "duration", parse: func(value string) (string, error) {
		d, err := ParseDuration(value)
		if err == nil && d < time.Second {
			return "", errors.New("expected at least 1s; each probe is a TLS handshake of the upstream")
		}
		return d.String(), err
	}}
}

// reloadInterval may be 0 or "off", too.
func reloadInterval() Type {
	return Type{Name: "duration", parse: func(value string) (string, error) {
		value = strings.TrimSpace(value)
		if value == "0" || strings.EqualFold(value, off) {
			return time.Duration(0).String(), nil
		}
		d, err := time.ParseDuration(value)
		if err != nil || d < 100*time.Millisecond {
			return "", errors.New("expected a duration from 100ms on, with its unit, such as 30s, " +
				"or 0 to reload at SIGHUP only")
		}
		return d.String(), nil
	}}
}

// number is a whole number from zero to most.
func number(most int, expected, tooMany string) Type {
	return Type{Name: "number", parse: func(value string) (string, error) {
		n, err := strconv.Atoi(strings.TrimSpace(value))
		switch {
		case err != nil || n < 0:
			return "", errors.New(expected)
		case n > most:
			return "", errors.New(tooMany)
		}
		return strconv.Itoa(n), nil
	}}
}

// sessionLimit is a number; zero is no limit.
func sessionLimit() Type {
	return number(math.MaxInt, "expected a whole number such as 100; 0 means no limit", "")
}

// spareCount has a limit because a typing error could use up the connections of the upstream. Refilling could
// not make use of more.
func spareCount() Type {
	return number(32, "expected a whole number such as 1; 0 means none",
		"expected at most 32; each is a connection that the upstream holds open unused")
}

// fileMode is an octal number.
func fileMode() Type {
	return Type{Name: "octal mode", parse: func(value string) (string, error) {
		n, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
		if err != nil || n == 0 || n > 0o777 {
			return "", errors.New("expected an octal file mode such as 0600 or 0660")
		}
		return fmt.Sprintf("%#o", n), nil
	}}
}

// userIDs are numbers only: names would depend on the user database of an image.
func userIDs() Type {
	return Type{Name: "list of numbers", parse: func(value string) (string, error) {
		var ids []string
		for entry := range strings.SplitSeq(value, ",") {
			id, err := strconv.ParseUint(strings.TrimSpace(entry), 10, 32)
			if err != nil {
				return "", errors.New("expected numeric user IDs such as 1000,65532; " +
					"\"id -u NAME\" prints that of a user")
			}
			ids = append(ids, strconv.FormatUint(id, 10))
		}
		return strings.Join(ids, ","), nil
	}}
}

// addresses are one or more host:port, and unix:/path for listeners. A listener may have an empty host, which
// means every address.
func addresses(example string, listen bool) Type {
	rules := addrRules{defaultPort: "6432", example: example, emptyHost: listen, sockets: listen}
	return Type{Name: "list of addresses", parse: func(value string) (string, error) {
		addrs, err := parseAddrs(value, rules)
		return strings.Join(addrs, ","), err
	}}
}

// oneAddress is one host:port. An empty host means every address.
func oneAddress(example string) Type {
	return Type{Name: "address", parse: func(value string) (string, error) {
		return parseAddr(value, addrRules{example: example, emptyHost: true})
	}}
}

// healthAddress is one host:port, or off.
func healthAddress() Type {
	return orOff(oneAddress("127.0.0.1:9632 or off"))
}

// adminAddress is off or an address that only this machine can reach, because there is no login.
func adminAddress() Type {
	rules := addrRules{example: "127.0.0.1:9633, unix:/run/pgorigin/admin.sock or off", sockets: true}
	return orOff(Type{Name: "address", parse: func(value string) (string, error) {
		addr, err := parseAddr(value, rules)
		if err != nil {
			return "", err
		}
		if !IsLoopback(addr) {
			return "", errors.New("expected a loopback address such as 127.0.0.1:9633, or unix:/dir/file, " +
				"because anyone who reaches it can end this process; from elsewhere run \"pgorigin shutdown\" inside " +
				"the container or send SIGTERM")
		}
		if path, ok := strings.CutPrefix(addr, UnixScheme); ok {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				return "", fmt.Errorf("expected unix:/dir/file, but %s is a directory; use %s%s",
					path, UnixScheme, filepath.Join(path, "admin.sock"))
			}
		}
		return addr, nil
	}})
}

// orOff returns base with one more value, off.
func orOff(base Type) Type {
	return Type{Name: base.Name + " or off", parse: func(value string) (string, error) {
		if strings.TrimSpace(value) == off {
			return off, nil
		}
		return base.parse(value)
	}}
}

// Endpoint is the address of a listener that can be turned off.
type Endpoint string

// Off reports whether there is no listener.
func (e Endpoint) Off() bool { return e == off || e == "" }
