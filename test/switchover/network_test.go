//go:build switchover

package switchover

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The kernel answers for all of 127.0.0.0/8. Tests and ways have nets of their own, 127.84.NET.0/24.
const (
	netControl  = 0 // what the test itself uses
	netWays     = 1 // and the following ones
	netRestarts = 30
	netStarts   = 40
	netWaiting  = 50
	netOutages  = 60
	netSevered  = 72
	netLast     = 80
	virtual     = 9 // the last byte of an address that leads to another one
	lastHost    = virtual
)

func ip(network, host int) string { return fmt.Sprintf("127.84.%d.%d", network, host) }

// addresses are all that servers of the suite may have.
func addresses() (list []net.IP) {
	for network := range netLast {
		for host := range lastHost {
			list = append(list, net.IPv4(127, 84, byte(network), byte(host+1)))
		}
	}
	return list
}

// run runs a command.
func run(command string) error {
	_, err := output(command)
	return err
}

func output(command string) (string, error) {
	words := strings.Fields(command)
	cmd := exec.CommandContext(context.Background(), words[0], words[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, folder := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		if path, err := exec.LookPath(folder + words[0]); err == nil {
			cmd.Path, cmd.Err = path, nil
			break
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %q: %w: %s", command, err, out)
	}
	return string(out), nil
}

// The ways in which an address stops answering. All of them also hit connections that exist.
const (
	silence     = "INPUT -p tcp -d %s -j DROP"
	unreachable = "OUTPUT -p tcp -d %s -j REJECT --reject-with icmp-host-unreachable"
)

// cut cuts an address off, and mend undoes it.
func cut(how, addr string) error  { return run("iptables -w -I " + fmt.Sprintf(how, addr)) }
func mend(how, addr string) error { return run("iptables -w -D " + fmt.Sprintf(how, addr)) }

// lead lets new connections to one address and port end at another, and unlead undoes it.
func lead(from, port, to string) error   { return translate("-A", from, port, to) }
func unlead(from, port, to string) error { return translate("-D", from, port, to) }

func translate(what, from, port, to string) error {
	return run("iptables -w -t nat " + what + " OUTPUT -p tcp -d " + from + " --dport " + port +
		" -j DNAT --to-destination " + to)
}

// dials counts the connections that are begun to addresses. The kernel counts: in its table nat, a rule sees
// the first packet of each connection, but no packet that is sent again.
type dials struct {
	mu      sync.Mutex
	samples []sample
}

// sample is how many connections have been begun to each address so far.
type sample struct {
	at    time.Time
	total map[string]float64
}

// count counts connections to addresses from now on. A rule that leads elsewhere is added later.
func (d *dials) count(addrs ...string) error {
	for _, addr := range addrs {
		if err := run("iptables -w -t nat -I OUTPUT -p tcp -d " + addr); err != nil {
			return err
		}
	}
	return nil
}

// watch takes a sample each second until the test ends.
func (d *dials) watch(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if err := d.sample(); err != nil {
				t.Error(err)
				return
			}
			pause(ctx, time.Second)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func (d *dials) sample() error {
	list, err := output("iptables -w -t nat -nvxL OUTPUT")
	if err != nil {
		return err
	}
	s := sample{time.Now(), map[string]float64{}}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) != 8 { // packets, bytes, protocol, options, in, out, source, destination; no target
			continue
		}
		if n, err := strconv.ParseFloat(words[0], 64); err == nil {
			s.total[words[7]] = n
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.samples = append(d.samples, s)
	return nil
}

// between returns how many dials a second addr got from one time to another, and in the second that had most.
func (d *dials) between(addr string, from, to time.Time) (mean, peak float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var first, last *sample
	for i := range d.samples {
		s := &d.samples[i]
		if s.at.Before(from) || s.at.After(to) {
			continue
		}
		if last != nil && s.at.Sub(last.at) < time.Second*9/10 { // another test watches, too
			continue
		}
		if first == nil {
			first, last = s, s
			continue
		}
		peak = max(peak, (s.total[addr]-last.total[addr])/s.at.Sub(last.at).Seconds())
		last = s
	}
	if first == nil || first == last {
		return 0, 0
	}
	return (last.total[addr] - first.total[addr]) / last.at.Sub(first.at).Seconds(), peak
}

// nameServer answers for all programs of the suite. It knows no name at first. As many name servers do, it
// puts another address of a name first in each answer.
type nameServer struct {
	mu    sync.Mutex
	turn  int
	known map[string][]string
}

// startNames starts a name server, and lets all programs of the suite ask it.
func startNames(folder string) (*nameServer, error) {
	const addr = "127.0.0.53"
	conn, err := net.ListenPacket("udp", addr+":53")
	if err != nil {
		return nil, fmt.Errorf("start the name server: %w", err)
	}
	n := &nameServer{known: map[string][]string{}}
	go func() {
		packet := make([]byte, 1500)
		for {
			length, from, err := conn.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := n.answer(packet[:length]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	if err := private(); err != nil {
		return nil, err
	}
	return n, replaceFile(folder, "/etc/resolv.conf", "nameserver "+addr+"\n")
}

// set gives a name its addresses. A name without any does not exist.
func (n *nameServer) set(name string, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := maps.Clone(n.known)
	known[name+"."] = ips
	n.known = known
}

// answer answers one question, by RFC 1035.
func (n *nameServer) answer(query []byte) []byte {
	if len(query) < 17 {
		return nil
	}
	name, at := "", 12
	for at < len(query) && query[at] != 0 {
		end := at + 1 + int(query[at])
		name, at = name+string(query[at+1:end])+".", end
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	n.mu.Lock()
	defer n.mu.Unlock()
	ips := n.known[strings.ToLower(name)]
	code := byte(0)
	if len(ips) == 0 {
		code = 3 // no such name
	}
	header := []byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0}
	answer := append(header, query[12:at+5]...)
	if kind != 1 || len(ips) == 0 {
		return answer
	}
	n.turn++
	answer[7] = byte(len(ips))
	for i := range ips {
		addr := net.ParseIP(ips[(i+n.turn)%len(ips)]).To4()
		answer = append(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4), addr...)
	}
	return answer
}
