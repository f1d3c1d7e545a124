//go:build stacks

package stacks

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

var (
	update = flag.Bool("update", false, "write testdata/matrix.json")
	only   = flag.String("only", "", "run only the stacks that match")
	here   = flag.Bool("here", false, "run only the stacks that the installer has with the argument here")
)

// matrix is what was measured.
type matrix struct {
	Sites  []string   `json:"sites"`
	Stacks []measured `json:"stacks"`

	// Origin is what becomes of a client of pgorigin, whatever its TLS stack is.
	Origin map[string]verdict `json:"pgorigin"`
}

type measured struct {
	Name    string             `json:"name"`
	Version string             `json:"version"`
	Hello   *offer             `json:"hello,omitempty"`
	Cells   map[string]verdict `json:"cells"`

	// Through says whether it connects through pgorigin to the server with P-521 keys. It is null for a
	// tool that cannot do without TLS.
	Through *bool `json:"through_pgorigin"`
}

func TestMatrix(t *testing.T) {
	programs := filepath.Join(shared.lab.Dir(), "programs")
	if err := os.CopyFS(programs, os.DirFS("programs")); err != nil {
		t.Fatal(err)
	}
	javac := exec.Command("javac", "--release", "8", "-Xlint:-options", "-d", "java", "java/Connect.java")
	javac.Dir = programs
	if out, err := javac.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	enter, err := filepath.Abs("enter")
	if err != nil {
		t.Fatal(err)
	}
	var jobs []job
	m := &matrix{}
	for i, site := range sites() {
		j, _ := site.start(t, i)
		jobs = append(jobs, j)
		m.Sites = append(m.Sites, site.name)
	}
	origin, listeners := throughOrigin(t, m.Sites, jobs)
	m.Origin = origin
	through := job{id: "through", port: listeners[slices.Index(m.Sites, "P-521")], caFile: "-", name: serverName}
	stacks := slices.DeleteFunc(stacksHere(cacheFolder(), programs), func(s stack) bool {
		return !regexp.MustCompile(*only).MatchString(s.name) || *here && !s.here
	})
	m.Stacks = make([]measured, len(stacks))
	var measuring sync.WaitGroup
	free := make(chan bool, 4) // they wait more than they compute
	for i, s := range stacks {
		measuring.Go(func() {
			free <- true
			m.Stacks[i] = measure(t, s, enter, m.Sites, jobs, through)
			<-free
		})
	}
	measuring.Wait()
	if *update {
		m.write(t)
	} else {
		m.compare(t)
	}
	comparePredictions(t, m, jobs)
}

func (m *matrix) write(t *testing.T) {
	t.Helper()
	out, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("testdata/matrix.json", append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compare looks for verdicts that are not those of testdata/matrix.json.
func (m *matrix) compare(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("testdata/matrix.json")
	if err != nil {
		t.Fatal(err)
	}
	var before matrix
	if err := json.Unmarshal(text, &before); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Stacks {
		i := slices.IndexFunc(before.Stacks, func(b measured) bool { return b.Name == s.Name })
		if i < 0 {
			t.Errorf("%s is not in testdata/matrix.json", s.Name)
			continue
		}
		for _, site := range m.Sites {
			if was, is := before.Stacks[i].Cells[site], s.Cells[site]; was.Connects != is.Connects {
				t.Errorf("%s, %s: connects %v, and in testdata/matrix.json (%s) %v: %s%s", s.Name, site, is.Connects,
					before.Stacks[i].Version, was.Connects, is.Words, was.Words)
			}
		}
	}
}

// measure has one stack judge all sites.
func measure(t *testing.T, s stack, enter string, sites []string, jobs []job, through job) measured {
	t.Helper()
	m := measured{Name: s.name, Version: s.versionOf(t, enter), Cells: map[string]verdict{}}
	own, ordinary := site{}.start(t, 0) // where nobody else's ClientHello comes
	own.id = "ordinary"
	all := append(slices.Clone(jobs), own)
	if !s.onlyTLS {
		all = append(all, through)
	}
	verdicts := s.run(t, enter, all)
	if v, ok := verdicts[through.id]; ok {
		m.Through = &v.Connects
		if !v.Connects {
			t.Errorf("%s does not connect through pgorigin: %s", s.name, v.Words)
		}
	}
	if hello := ordinary.newest(); hello != nil {
		m.Hello = readOffer(hello)
	}
	failing := 0
	for i, site := range sites {
		v := verdicts[jobs[i].id]
		m.Cells[site] = v
		if !v.Connects {
			failing++
		}
	}
	t.Logf("%s (%s): %d of %d fail", s.name, m.Version, failing, len(sites))
	return m
}

// start starts the server of a site and returns the job for it.
func (s site) start(t *testing.T, number int) (job, *scripted) {
	t.Helper()
	make, name := s.chain, s.asked
	if make == nil {
		make = ordinaryChain
	}
	if name == "" {
		name = serverName
	}
	m := make()
	caFile := filepath.Join(shared.lab.Dir(), fmt.Sprintf("roots-%d-%s.pem", number, rand.Text()))
	if err := os.WriteFile(caFile, m.roots, 0o644); err != nil {
		t.Fatal(err)
	}
	j := job{id: fmt.Sprint(number), caFile: caFile, name: name}
	if s.real != nil {
		j.port = s.real.start(t, m)
		return j, nil
	}
	cert := m.pair.TLS()
	if m.cert != nil {
		m.cert(&cert)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
	}
	if s.config != nil {
		s.config(config)
	}
	server := &scripted{config: config, box: s.box}
	j.port = server.start(t)
	return j, server
}

// start starts a PostgreSQL that lets everybody in.
func (r *real) start(t *testing.T, m material) (port string) {
	t.Helper()
	dir, err := os.MkdirTemp(shared.lab.Dir(), "real-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hba := write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n")
	cert, key := write("server.crt", string(m.pair.CertPEM())), write("server.key", string(m.pair.KeyPEM()))
	if err := errors.Join(shared.lab.Give(key), os.Chmod(key, 0o600)); err != nil {
		t.Fatal(err)
	}
	options := servers.PostgresOptions{Settings: append([]string{
		"hba_file = '" + hba + "'", "ssl_cert_file = '" + cert + "'", "ssl_key_file = '" + key + "'",
		"ssl_ca_file = ''", "max_connections = 20",
	}, r.settings...)}
	if r.openssl != "" {
		options.Env = []string{"OPENSSL_CONF=" + write("openssl.cnf",
			"openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = it\n[it]\n"+r.openssl+"\n")}
	}
	pg, err := shared.lab.Postgres(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	_, port, _ = strings.Cut(pg.Addr, ":")
	return port
}
