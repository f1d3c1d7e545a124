//go:build stacks

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// stack is a program that judges servers. It reads jobs and prints a verdict on each.
type stack struct {
	name    string
	debian  string   // the Debian in which it runs; empty: this one
	command []string // files are in the folder programs, or in the cache of the installer
	version []string // prints it
	single  bool     // a process judges one server only
	onlyTLS bool     // a tool that does nothing else
	here    bool     // this Debian has it, or its crates, or this Go
}

// stacksHere are all that can be had here, in the order of the matrix.
func stacksHere(cache, programs string) []stack {
	in := func(dir string) func(string) string {
		return func(file string) string { return filepath.Join(dir, file) }
	}
	cached, program := in(cache), in(programs)
	var all []stack
	add := func(name, debian string, version []string, command ...string) {
		onlyTLS := strings.HasPrefix(name, "OpenSSL") || strings.HasPrefix(name, "GnuTLS")
		all = append(all, stack{name: name, debian: debian, command: command, version: version, onlyTLS: onlyTLS})
	}
	for _, v := range []string{"1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"} {
		binary := cached("go/connect-" + v)
		add("Go "+v, "", []string{"go", "version", binary}, binary)
	}
	add("rustls 0.20 with ring", "", []string{"cat", cached("rustls/old.version")}, cached("rustls/old"))
	for _, provider := range []string{"ring", "aws-lc-rs", "no provider"} {
		file := cached("rustls/" + strings.ReplaceAll(provider, " ", "-"))
		add("rustls 0.23 with "+provider, "", []string{"cat", file + ".version"}, file)
	}
	debians := []string{"bullseye", "", "trixie", "sid"}
	for i, debian := range debians {
		add("OpenSSL "+[]string{"1.1.1", "3.0", "3.5", "3.6"}[i], debian, []string{"openssl", "version"}, "sh", program("openssl.sh"))
	}
	for i, debian := range debians {
		add("libpq "+[]string{"13", "15", "17", "18"}[i], debian, []string{"psql", "--version"}, "sh", program("psql.sh"))
	}
	pythonVersion := []string{"/usr/bin/python3", "-c", "import ssl, sys; print(sys.version.split()[0], ssl.OPENSSL_VERSION)"}
	for i, debian := range debians {
		add("Python "+[]string{"3.9", "3.11", "3.13", "3.14"}[i], debian, pythonVersion, "/usr/bin/python3", program("python/connect.py"))
	}
	for _, v := range []string{"8", "10", "12", "14", "16", "18", "22", "24", "26"} {
		node := cached("npm/node_modules/node" + v + "/bin/node")
		add("Node "+v, "", []string{node, "-p", "process.version + ' OpenSSL ' + process.versions.openssl"}, node, program("node/connect.js"))
	}
	bun := cached("npm/node_modules/bun/bin/bun")
	add("Bun 1.4", "", []string{bun, "-p", "process.versions.bun + ' BoringSSL ' + process.versions.boringssl"}, bun, program("node/connect.js"))
	for _, v := range []string{"1", "2"} {
		deno := cached("npm/node_modules/deno" + v + "/deno")
		add("Deno "+v, "", []string{deno, "--version"}, deno, "run", "--allow-all", program("deno/connect.js"))
	}
	for _, java := range []struct{ version, debian, home string }{
		{"8", "sid", "java-8-openjdk-amd64/jre"},
		{"11", "bullseye", "java-11-openjdk-amd64"},
		{"17", "", "java-17-openjdk-amd64"},
		{"21", "trixie", "java-21-openjdk-amd64"},
		{"25", "trixie", "java-25-openjdk-amd64"},
	} {
		binary := "/usr/lib/jvm/" + java.home + "/bin/java"
		add("Java "+java.version, java.debian, []string{binary, "-version"}, binary, "-Xshare:auto", "-cp", programs+"/java", "Connect")
	}
	erlang := []string{"erl", "-noshell", "-eval", `{ok, V} = file:read_file(filename:join([code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"])), io:format("OTP ~s", [V]), halt().`}
	for i, debian := range debians {
		add("Erlang "+[]string{"23", "25", "27", "29"}[i], debian, erlang, "escript", program("erlang/connect.escript"))
		// A certificate that OTP 23 cannot decode spoils later connections of its process.
		all[len(all)-1].single = i == 0
	}
	for i, debian := range debians {
		add("GnuTLS "+[]string{"3.7.1", "3.7.9", "3.8.9", "3.8.13"}[i], debian, []string{"gnutls-cli", "--version"}, "sh", program("gnutls.sh"))
	}
	for i, s := range all {
		cached := strings.HasPrefix(s.command[0], cache)
		all[i].here = s.debian == "" && !cached || s.name == "Go 1.26" || s.name == "rustls 0.20 with ring"
	}
	return all
}

// verdict is what a program printed of one job.
type verdict struct {
	Connects bool   `json:"connects"`
	Words    string `json:"words,omitempty"`
}

// job is one connection.
type job struct{ id, port, caFile, name string }

// run has a stack judge servers.
func (s stack) run(t *testing.T, enter string, jobs []job) map[string]verdict {
	t.Helper()
	batch := len(jobs)
	if s.single {
		batch = 1
	}
	verdicts := map[string]verdict{}
	for jobs := range slices.Chunk(jobs, batch) {
		s.judge(t, enter, jobs, verdicts)
	}
	return verdicts
}

// judge runs one process.
func (s stack) judge(t *testing.T, enter string, jobs []job, verdicts map[string]verdict) {
	t.Helper()
	var in bytes.Buffer
	for _, j := range jobs {
		fmt.Fprintln(&in, j.id, j.port, j.caFile, j.name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := s.start(ctx, enter, s.command)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	judged := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(fields) != 3 {
			t.Errorf("%s printed %q", s.name, line)
			continue
		}
		v := verdict{Connects: fields[1] == "connects"}
		if err := json.Unmarshal([]byte(fields[2]), &v.Words); err != nil {
			v.Words = strings.Trim(fields[2], `"`)
		}
		v.Words = plain(v.Words)
		verdicts[fields[0]] = v
		judged++
	}
	if judged != len(jobs) {
		t.Errorf("%s judged %d of %d servers: %v %.2000s", s.name, judged, len(jobs), err, &stderr)
	}
}

func (s stack) start(ctx context.Context, enter string, command []string) *exec.Cmd {
	if s.debian != "" {
		command = append([]string{enter, filepath.Join(cacheFolder(), s.debian), shared.lab.Dir()}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Dir(goBinary()), "LC_ALL=C", "HOME=" + shared.lab.Dir(), "NO_COLOR=1"}
	return cmd
}

// versionOf returns the exact version of a stack.
func (s stack) versionOf(t *testing.T, enter string) string {
	t.Helper()
	out, err := s.start(t.Context(), enter, s.version).CombinedOutput()
	if err != nil {
		t.Errorf("%s: version: %v %s", s.name, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if _, version, ok := strings.Cut(line, ": go"); ok {
		line = "go" + version
	}
	return strings.TrimSpace(line)
}

func goBinary() string {
	path, _ := exec.LookPath("go")
	return path
}

// cacheFolder is where the installer puts the stacks.
func cacheFolder() string {
	if dir := os.Getenv("PGORIGIN_STACKS"); dir != "" {
		return dir
	}
	return "/var/cache/pgorigin-stacks"
}

// plain makes one short line of a text, without what differs from run to run.
func plain(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	for _, cut := range []struct{ pattern, with string }{
		{`connection to server at '\S+, port \d+ failed: `, ""},          // libpq
		{`\d+\.\d+\.\d+\.\d+:\d+->\d+\.\d+\.\d+\.\d+:\d+`, "connection"}, // Go
		{`^[0-9A-F]{16}:|\b\d{15}:`, ""},                                 // a thread, before an error of OpenSSL
		{` [0-9A-F]{16}:error`, " error"},
		{`\.\./deps/openssl/openssl/`, ""},
		{`^Connecting to 127\.0\.0\.1 ?`, ""},
		{` \(_ssl\.c:\d+\)`, ""},
	} {
		words = regexp.MustCompile(cut.pattern).ReplaceAllString(words, cut.with)
	}
	if len(words) > 240 {
		words = words[:240] + "…"
	}
	return words
}
