//go:build stacks

package stacks

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// throughOrigin has a client log in at each site through pgorigin, and returns its listeners, too.
func throughOrigin(
	t *testing.T, sites []string, jobs []job,
) (verdicts map[string]verdict, listeners []string) {
	t.Helper()
	const most = 31 // origins that one process serves, besides the unnamed one
	for batch := range slices.Chunk(jobs, most) {
		listeners = append(listeners, startOrigin(t, batch)...)
	}
	verdicts = map[string]verdict{}
	for i, site := range sites {
		words := login("127.0.0.1:" + listeners[i])
		verdicts[site] = verdict{Connects: words == "", Words: plain(words)}
	}
	return verdicts, listeners
}

// startOrigin starts one pgorigin in front of several sites and returns a port for each.
func startOrigin(t *testing.T, jobs []job) (listeners []string) {
	t.Helper()
	env := []string{"PGORIGIN_TLS_CA_FILE=" + jobs[0].caFile, "PGORIGIN_TLS_SERVER_NAME=" + jobs[0].name}
	var names []string
	for _, j := range jobs {
		port, err := shared.lab.Port()
		if err != nil {
			t.Fatal(err)
		}
		listeners, names = append(listeners, port), append(names, "site"+j.id)
		prefix := "PGORIGIN_SITE" + j.id
		env = append(env, prefix+"_UPSTREAM_ADDR=127.0.0.1:"+j.port, prefix+"_LISTEN_ADDR=127.0.0.1:"+port,
			prefix+"_TLS_CA_FILE="+j.caFile, prefix+"_TLS_SERVER_NAME="+j.name)
	}
	env = append(env, "PGORIGIN_ORIGINS="+strings.Join(names, ","))
	if _, err := shared.lab.Origin(t.Context(), shared.binary, "127.0.0.1:"+jobs[0].port, env...); err != nil {
		t.Fatal(err)
	}
	return listeners
}

// login logs in without TLS and returns what a user would read; it is empty if the client gets a session.
func login(addr string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = conn.Write([]byte("\x00\x00\x00\x1f\x00\x03\x00\x00user\x00app\x00database\x00app\x00\x00"))
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	switch {
	case err != nil:
		return err.Error()
	case answer[0] == 'R':
		return ""
	}
	for field := range strings.SplitSeq(string(answer[5:n]), "\x00") {
		if strings.HasPrefix(field, "M") {
			return field[1:]
		}
	}
	return "no message"
}
