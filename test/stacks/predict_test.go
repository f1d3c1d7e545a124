//go:build stacks

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// predictions is the part of "check --clients --json" that says what becomes of stacks.
type predictions struct {
	Upstreams []struct {
		Addresses []struct {
			Clients struct {
				Stacks []struct {
					Stack    string `json:"stack"`
					Versions string `json:"versions"`
					Verdict  string `json:"verdict"`
					Reasons  []struct {
						Cause string `json:"cause"`
						Text  string `json:"text"`
					} `json:"reasons"`
				} `json:"stacks"`
			} `json:"clients"`
		} `json:"addresses"`
	} `json:"upstreams"`
}

// prediction is what check says of one stack: "connects", "fails" or "unknown".
type prediction struct{ verdict, reasons string }

// notPredicted are the sites of which check does not see enough, each with the reason.
func notPredicted() map[string]string {
	return map[string]string{
		"authority only for RSA-PSS": "the root is not sent, and its signature is that of an ordinary RSA key",
	}
}

// predict asks the built pgorigin what becomes of each stack at a site.
func predict(t *testing.T, j job) map[string]prediction {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shared.binary, "check", "--clients", "--json", "127.0.0.1:"+j.port)
	cmd.Env = []string{
		"PGORIGIN_TLS_CA_FILE=" + j.caFile, "PGORIGIN_TLS_SERVER_NAME=" + j.name, "PATH=" + os.Getenv("PATH"),
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, _ := cmd.Output() // it fails where pgorigin cannot connect
	var p predictions
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatalf("check: %v: %.500s %.500s", err, out, &stderr)
	}
	verdicts := map[string]prediction{}
	if len(p.Upstreams) == 1 && len(p.Upstreams[0].Addresses) == 1 {
		for _, s := range p.Upstreams[0].Addresses[0].Clients.Stacks {
			verdicts[s.Stack+" "+s.Versions] = prediction{s.Verdict, fmt.Sprint(s.Reasons)}
		}
	}
	return verdicts
}

// rowOf returns the name of a stack in the table of pgorigin, which has "rustls with ring 0.23" for
// "rustls 0.23 with ring".
func rowOf(name string) string {
	fields := strings.Fields(name)
	return strings.Join(append(append([]string{fields[0]}, fields[2:]...), fields[1]), " ")
}

// comparePredictions asks check about each site, and compares what it says with what was measured.
func comparePredictions(t *testing.T, m *matrix, jobs []job) {
	t.Helper()
	var asking sync.WaitGroup
	free := make(chan bool, 4)
	for i, site := range m.Sites {
		asking.Go(func() {
			free <- true
			defer func() { <-free }()
			if differences := m.differences(site, predict(t, jobs[i])); len(differences) > 0 {
				if why, ok := notPredicted()[site]; ok {
					t.Logf("%s: not predicted: %s", site, why)
					return
				}
				t.Errorf("%s:\n  %s", site, strings.Join(differences, "\n  "))
			}
		})
	}
	asking.Wait()
}

// differences are the stacks that a prediction has wrong.
func (m *matrix) differences(site string, predicted map[string]prediction) []string {
	var wrong []string
	for _, s := range m.Stacks {
		measured := "fails"
		if s.Cells[site].Connects {
			measured = "connects"
		}
		if got := predicted[rowOf(s.Name)]; got.verdict != measured {
			wrong = append(wrong, fmt.Sprintf("%s: predicted %q %s, measured %q %s",
				s.Name, got.verdict, got.reasons, measured, s.Cells[site].Words))
		}
	}
	return wrong
}
