package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// adminAddr is where the admin endpoints are, host:port or unix:/path; empty is off. Only this machine can reach it: nobody
// has to log in there.
type adminAddr string

// Decode reads one loopback address, unix:/dir/file or off.
func (a *adminAddr) Decode(value string) error {
	value = strings.TrimSpace(value)
	if value == "off" {
		*a = ""
		return nil
	}
	addrs, err := parseAddrs(value, addrRules{example: "127.0.0.1:9633, unix:/run/pgorigin/admin.sock or off", sockets: true})
	switch {
	case err != nil:
		return err
	case len(addrs) != 1:
		return errors.New("expected one address; keep one of them")
	case !IsLoopback(addrs[0]):
		return errors.New("expected a loopback address such as 127.0.0.1:9633, or unix:/dir/file, because whoever reaches it can end " +
			"this process; from elsewhere run \"pgorigin shutdown\" inside the container or send SIGTERM")
	}
	if path, ok := strings.CutPrefix(addrs[0], UnixScheme); ok {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return fmt.Errorf("expected unix:/dir/file, but %s is a directory; use %s%s", path, UnixScheme, filepath.Join(path, "admin.sock"))
		}
	}
	*a = adminAddr(addrs[0])
	return nil
}

func (a adminAddr) String() string {
	if a == "" {
		return "off"
	}
	return string(a)
}

// socketMode is the file mode of a Unix socket.
type socketMode os.FileMode

// Decode reads an octal number.
func (m *socketMode) Decode(value string) error {
	n, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return errors.New("expected an octal file mode such as 0600 or 0660")
	}
	*m = socketMode(n)
	return nil
}

func (m socketMode) String() string { return fmt.Sprintf("%#o", uint32(m)) }

// uidList has the users that may connect to the Unix sockets; empty is all.
type uidList []uint32

// Decode reads a comma list of numbers: names would depend on the user database of an image.
func (l *uidList) Decode(value string) error {
	var uids uidList
	for entry := range strings.SplitSeq(value, ",") {
		uid, err := strconv.ParseUint(strings.TrimSpace(entry), 10, 32)
		if err != nil {
			return errors.New("expected numeric user IDs such as 1000,65532; \"id -u NAME\" tells a user's")
		}
		uids = append(uids, uint32(uid))
	}
	*l = uids
	return nil
}

func (l uidList) String() string {
	var texts []string
	for _, uid := range l {
		texts = append(texts, strconv.FormatUint(uint64(uid), 10))
	}
	return strings.Join(texts, ",")
}

// minProbeInterval keeps a slip of the finger from keeping the upstream busy with handshakes.
const minProbeInterval = time.Second

// readiness says what /readyz depends on.
type readiness string

const (
	readinessLocal    readiness = "local"
	ReadinessUpstream readiness = "upstream"
)

// Decode reads local or upstream.
func (r *readiness) Decode(value string) error {
	word, err := oneOf(value, string(readinessLocal), string(ReadinessUpstream))
	if err == nil {
		*r = readiness(word)
	}
	return err
}

// startupCheck says what /startupz depends on besides the listeners.
type startupCheck string

const (
	startupNone     startupCheck = "none"
	StartupUpstream startupCheck = "upstream"
)

// Decode reads none or upstream.
func (c *startupCheck) Decode(value string) error {
	word, err := oneOf(value, string(startupNone), string(StartupUpstream))
	if err == nil {
		*c = startupCheck(word)
	}
	return err
}

// probeInterval is the time between two probes.
type probeInterval time.Duration

// Decode reads a Go duration.
func (i *probeInterval) Decode(value string) error {
	var p Period
	switch err := p.Decode(value); {
	case err != nil:
		return err
	case time.Duration(p) < minProbeInterval:
		return fmt.Errorf("expected at least %v; each probe is a TLS handshake of the upstream", minProbeInterval)
	}
	*i = probeInterval(p)
	return nil
}

func (i probeInterval) String() string { return time.Duration(i).String() }

const minReloadInterval = 100 * time.Millisecond

// reloadInterval is a period, or zero for never.
type reloadInterval time.Duration

// Decode reads a Go duration, 0 or off.
func (r *reloadInterval) Decode(value string) error {
	value = strings.TrimSpace(value)
	if value == "0" || strings.EqualFold(value, "off") {
		*r = 0
		return nil
	}
	var p Period
	switch err := p.Decode(value); {
	case err != nil:
		return errors.New("expected a duration with its unit, such as 30s, or 0 to reload at SIGHUP only")
	case time.Duration(p) < minReloadInterval:
		return fmt.Errorf("expected at least %v, or 0 to reload at SIGHUP only", minReloadInterval)
	}
	*r = reloadInterval(p)
	return nil
}

func (r reloadInterval) String() string { return time.Duration(r).String() }

// maxSpares is far more than refilling can make use of, and few enough that a slip of the finger does not use up the
// upstream's connections.
const maxSpares = 32

// spareCount is a number of spares.
type spareCount int

// Decode reads a whole number from zero on.
func (c *spareCount) Decode(value string) error {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	switch {
	case err != nil || n < 0:
		return errors.New("expected a whole number such as 1; 0 keeps no connection ready")
	case n > maxSpares:
		return fmt.Errorf("expected at most %d; each is a connection that the upstream holds open for nobody", maxSpares)
	}
	*c = spareCount(n)
	return nil
}
