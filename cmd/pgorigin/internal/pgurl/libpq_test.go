//go:build drivers

package pgurl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// parseByLibpq prints what PQconninfoParse makes of each line: an object, or null if libpq refuses the URL.
const parseByLibpq = `
import json, sys
from psycopg2.extensions import parse_dsn
for url in json.load(sys.stdin):
    try:
        print(json.dumps(parse_dsn(url)))
    except Exception:
        print("null")
`

// TestLikeLibpq compares Parse with libpq, for URLs that are put together from parts. Parse may take what
// libpq refuses, because other drivers take it. Of what libpq takes, it refuses only what nobody can connect
// to, and what other drivers read otherwise.
func TestLikeLibpq(t *testing.T) {
	urls := combinations(
		[]string{"postgres://", "postgresql://"},
		[]string{
			"", "u@", "u:p@", ":p@", "u:@", "@", ":@", "u%40v:p%2Fq%3A%25@", "u:p:q@", "u+v:p+q@", "u:p?q@", "u:p@q@", "%zz:p@", "u:%@",
		},
		[]string{
			"", "h", "h:1", "h:", "[::1]", "[::1]:2", "h,i", "h:1,i", "h:1,i:2,j", "[::1],h:3", "%2Frun%2Fpg", "h%2Ci", "h:0", "h:x", "[::1",
			"[]", "[::1]x", "10.0.0.1",
		},
		[]string{"", "/", "/d", "/d%20e", "/d/e", "/d#e", "/d%", "/d@e"},
		[]string{
			"", "?", "?sslmode=require", "?host=j", "?host=j,k&port=3,4", "?port=5", "?hostaddr=10.0.0.2", "?user=v&password=w&dbname=x",
			"?host=j&host=k", "?ss%6cmode=require", "?application_name=a%20b+c", "?sslmode", "?sslmode=a=b", "?user=a@b", "?host=%2Frun",
		},
	)
	answers := askLibpq(t, urls)
	differences, compared := 0, 0
	for i, url := range urls {
		want := answers[i]
		if want == nil {
			continue
		}
		compared++
		u, err := Parse(url)
		switch {
		case err != nil && refusedOnPurpose(url, want):
		case strings.Contains(url, "@q@"): // the last @ counts for us
		case err != nil:
			t.Errorf("%s: %v; libpq reads %v", url, err, want)
			differences++
		case shown(u) != shownLikeUs(want):
			t.Errorf("%s: %s; libpq reads %s", url, shown(u), shownLikeUs(want))
			differences++
		}
		if differences > 20 {
			t.Fatal("and so on")
		}
	}
	if compared < len(urls)/10 {
		t.Errorf("libpq takes only %d of %d", compared, len(urls))
	}
	t.Logf("%d URLs, of which libpq takes %d", len(urls), compared)
}

// refusedOnPurpose reports whether Parse refuses a URL that libpq takes: a wrong port, lists that do not fit,
// and a @ where other drivers read another host.
func refusedOnPurpose(url string, libpq map[string]string) bool {
	if strings.Contains(url, "@e") || strings.Contains(url, "?q@") || strings.Contains(libpq["user"]+libpq["password"], "?") {
		return true
	}
	hosts := cmp.Or(libpq["hostaddr"], libpq["host"])
	ports := strings.Split(libpq["port"], ",")
	if slices.Contains(ports, "0") || slices.Contains(ports, "x") {
		return true
	}
	return len(ports) > 1 && len(ports) != len(strings.Split(hosts, ",")) ||
		libpq["hostaddr"] != "" && strings.Contains(libpq["host"], ",")
}

// shownLikeUs shows what libpq reads as shown does.
func shownLikeUs(libpq map[string]string) string {
	names, ips := strings.Split(libpq["host"], ","), strings.Split(libpq["hostaddr"], ",")
	ports := strings.Split(libpq["port"], ",")
	u := URL{user: libpq["user"], password: libpq["password"], database: libpq["dbname"]}
	for i := range max(len(names), len(ips)) {
		a := Address{Host: names[min(i, len(names)-1)], Port: cmp.Or(ports[min(i, len(ports)-1)], defaultPort)}
		if libpq["hostaddr"] != "" {
			a.IP = ips[i]
		}
		u.addresses = append(u.addresses, a)
	}
	return shown(&u)
}

// combinations returns each text that has one of each list of parts.
func combinations(lists ...[]string) []string {
	all := []string{""}
	for _, list := range lists {
		var longer []string
		for _, text := range all {
			for _, part := range list {
				longer = append(longer, text+part)
			}
		}
		all = longer
	}
	return all
}

func askLibpq(t *testing.T, urls []string) []map[string]string {
	t.Helper()
	input, err := json.Marshal(urls)
	if err != nil {
		t.Fatal(err)
	}
	ask := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", parseByLibpq)
	ask.Stdin = bytes.NewReader(input)
	output, err := ask.Output()
	if err != nil {
		t.Fatalf("ask libpq: %v; make drivers installs psycopg2", err)
	}
	var answers []map[string]string
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var answer map[string]string
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(urls) {
		t.Fatalf("%d answers for %d URLs", len(answers), len(urls))
	}
	return answers
}
