package resolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TestStrangersAreNotHeard: whoever can send packets to our port must guess the number and the question. With
// many wrong guesses, the question is asked again by TCP.
func TestStrangersAreNotHeard(t *testing.T) {
	forged := func(question []byte, to func(*dnsmessage.Message)) [][]byte {
		return change(question, func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.AResource{A: [4]byte{6, 6, 6, 6}},
			}}
			to(m)
		})
	}
	honest := func(network string, question []byte) [][]byte {
		var m dnsmessage.Message
		m.Unpack(question)
		answer := zone{"db.test": {addrs: []string{"192.0.2.7"}}}.reply(network, m)
		if network == "tcp" {
			answer = append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
		}
		return [][]byte{answer}
	}
	for name, to := range map[string]func(*dnsmessage.Message){
		"another number":   func(m *dnsmessage.Message) { m.ID++ },
		"no answer at all": func(m *dnsmessage.Message) { m.Response = false },
		"another name":     func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("evil.test.") },
		"another type":     func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX },
		"another class":    func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS },
		"two questions":    func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) },
		"no question":      func(m *dnsmessage.Message) { m.Questions = nil },
	} {
		for _, n := range []int{1, maxStrays - 1, maxStrays, 500} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, nil)
				s.answerBy(func(network string, question []byte) [][]byte {
					if network == "tcp" {
						return honest(network, question)
					}
					return append(bytesOf(forged(question, to)[0], n), honest(network, question)...)
				})
				if got, err := lookUp(t, asking(t, "", s), "ip4", "db.test"); got != "192.0.2.7" {
					t.Errorf("got %q, %v", got, err)
				}
				if byTCP := strings.HasPrefix(s.questions()[0], "tcp"); byTCP != (n >= maxStrays) {
					t.Errorf("by TCP: %v", byTCP)
				}
			})
		}
	}
}

// bytesOf returns n times the same packet.
func bytesOf(packet []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, packet)
	}
	return all
}

// TestRecordsOfOthers: an answer counts for its own name, and for what a CNAME makes of it.
func TestRecordsOfOthers(t *testing.T) {
	s := startServer(t, nil)
	s.answerBy(func(_ string, question []byte) [][]byte {
		return change(question, func(m *dnsmessage.Message) {
			for _, class := range []dnsmessage.Class{dnsmessage.ClassINET, dnsmessage.ClassCHAOS} {
				name := m.Questions[0].Name
				if class == dnsmessage.ClassINET {
					name = dnsmessage.MustNewName("evil.test.")
				}
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: name, Class: class}, Body: &dnsmessage.AResource{A: [4]byte{6, 6, 6, 6}},
				})
			}
		})
	})
	if got, err := lookUp(t, asking(t, "", s), "ip4", "db.test"); got != "" || err == nil || err.Exists != "db.test" {
		t.Errorf("got %q, %+v", got, err)
	}
}

// TestChainsOfAliases: a chain may be as long as the answer. One that leads in a circle has no address.
func TestChainsOfAliases(t *testing.T) {
	for _, row := range []struct {
		circle bool
		want   string
	}{{false, "192.0.2.7"}, {true, ""}} {
		s := startServer(t, nil)
		s.answerBy(func(_ string, question []byte) [][]byte {
			return change(question, func(m *dnsmessage.Message) {
				name := m.Questions[0].Name
				for n := range 60 {
					next := dnsmessage.MustNewName(fmt.Sprintf("c%d.test.", n))
					if row.circle && n == 59 {
						next = m.Questions[0].Name
					}
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: next},
					})
					name = next
				}
				if !row.circle {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
					})
				}
			})
		})
		if got, err := lookUp(t, asking(t, "", s), "ip4", "db.test"); got != row.want || (err == nil) != (got != "") {
			t.Errorf("circle %v: got %q, want %q (%+v)", row.circle, got, row.want, err)
		}
	}
}

// hugeAnswer is as large as a message can be: a chain of aliases that never ends, and addresses.
func hugeAnswer(id uint16, q dnsmessage.Question) []byte {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	packed, _ := m.Pack()
	// A name that points back to the question, and a record without data of 12 bytes in all.
	for n := 0; len(packed) < 65000; n++ {
		packed = append(packed, 0xc0, 12, 0, byte(dnsmessage.TypeCNAME), 0, 1, 0, 0, 0, 60, 0, 4, 1, byte('a'+n%26), 0xc0, 12)
	}
	binary.BigEndian.PutUint16(packed[6:], 0xffff)
	return packed
}

// TestHugeAnswersAreBounded: a server can send as much as it wants.
func TestHugeAnswersAreBounded(t *testing.T) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("db.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	message := hugeAnswer(7, q)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readAnswer(message, 7, q)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Error(err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("took %d bytes", took)
	}
}

// pipes is a dial function to servers that answer over pipes: time is that of synctest.
func pipes(serve map[string]func(network string, conn net.Conn)) dialFunc {
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve[addr](network, server)
		return client, nil
	}
}

// silent reads and says nothing.
func silent(_ string, conn net.Conn) {
	defer conn.Close()
	for buf := make([]byte, 512); ; {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// knows answers after a delay.
func knows(z zone, delay time.Duration) func(string, net.Conn) {
	return func(network string, conn net.Conn) {
		defer conn.Close()
		packet := make([]byte, 512)
		n, err := conn.Read(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		m.Unpack(packet[:n])
		time.Sleep(delay)
		conn.Write(z.reply(network, m))
		silent(network, conn)
	}
}

// drips sends a byte a second, for ever.
func drips(_ string, conn net.Conn) {
	defer conn.Close()
	go silent("", conn)
	for {
		if _, err := conn.Write([]byte{200}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// TestTimesAreExact: each server has its time, and the caller has the last word.
func TestTimesAreExact(t *testing.T) {
	good := knows(zone{"db.test": {addrs: []string{"192.0.2.7"}}}, time.Second)
	const one, two = "192.0.2.1:53", "192.0.2.2:53"
	both := "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
	for _, row := range []struct {
		name, conf    string
		first, second func(string, net.Conn)
		limit         time.Duration
		want          time.Duration
		fails         bool
	}{
		{name: "the first answers", conf: both, first: good, second: silent, limit: time.Minute, want: time.Second},
		{name: "the first is silent", conf: both, first: silent, second: good, limit: time.Minute, want: 6 * time.Second},
		{name: "timeout", conf: both + "options timeout:1\n", first: silent, second: knows(zone{"db.test": {addrs: []string{"192.0.2.7"}}}, 0), limit: time.Minute, want: time.Second},
		{name: "both are silent", conf: both, first: silent, second: silent, limit: time.Minute, want: 20 * time.Second, fails: true},
		{name: "attempts", conf: both + "options attempts:1\n", first: silent, second: silent, limit: time.Minute, want: 10 * time.Second, fails: true},
		{name: "silence ends the search", conf: both + inPod, first: silent, second: silent, limit: time.Hour, want: 20 * time.Second, fails: true},
		{name: "absurd options", conf: both + "options timeout:9999999 attempts:9999999\n", first: silent, second: silent, limit: time.Hour, want: 5 * time.Minute, fails: true},
		{name: "the caller has less time", conf: both, first: silent, second: silent, limit: 3 * time.Second, want: 3 * time.Second, fails: true},
		{name: "a byte at a time", conf: both + "options use-vc attempts:1\n", first: drips, second: silent, limit: time.Minute, want: 10 * time.Second, fails: true},
		{name: "a packet at a time", conf: both + "options attempts:1\n", first: drips, second: silent, limit: time.Minute, want: 10 * time.Second, fails: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), row.limit)
				defer cancel()
				r := &Resolver{
					conf: fixedConf(parseConf(row.conf, "")),
					dial: pipes(map[string]func(string, net.Conn){one: row.first, two: row.second}),
				}
				began := time.Now()
				_, err := r.LookupNetIP(ctx, "ip", "db.test")
				if took := time.Since(began); took != row.want || row.fails != (err != nil) {
					t.Errorf("took %v, want %v: %v", took, row.want, err)
				}
				var failed *Error
				if errors.As(err, &failed) && (!failed.Err.IsTimeout || failed.Err.IsNotFound) {
					t.Errorf("got %+v", failed.Err)
				}
			})
		})
	}
}

// TestCancel ends a lookup at once.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &Resolver{conf: fixedConf(parseConf("nameserver 192.0.2.1\n", "")), dial: pipes(map[string]func(string, net.Conn){"192.0.2.1:53": silent})}
		began := time.Now()
		time.AfterFunc(time.Second, cancel)
		if _, err := r.LookupNetIP(ctx, "ip", "db.test"); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// FuzzAnswers: whatever a server sends is refused, or has addresses of the right family.
func FuzzAnswers(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("db.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	question, _ := pack(7, q, true)
	var m dnsmessage.Message
	m.Unpack(question[2:])
	good := zone{"db.test": {alias: "real.test", addrs: []string{"192.0.2.7", "2001:db8::7"}}}
	f.Add(good.reply("udp", m))
	f.Add(hugeAnswer(7, q)[:600])
	f.Add(change(question[2:], func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeFormatError; m.Questions = nil })[0])
	f.Add(bytes.Repeat([]byte{0xc0}, 100))
	f.Fuzz(func(t *testing.T, message []byte) {
		a, err := readAnswer(message, 7, q)
		if err != nil && (a.addrs != nil || a.exists) {
			t.Errorf("%v, and %+v", err, a)
		}
		for _, addr := range a.addrs {
			if !addr.Is4() {
				t.Errorf("got %v", addr)
			}
		}
	})
}
