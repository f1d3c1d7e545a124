//go:build stacks

package stacks

import (
	"path/filepath"
	"slices"
	"strings"
)

// debians are the releases that the installer has, oldest first. The empty one is this Debian.
func debians() []string { return []string{"bullseye", "", "trixie", "sid"} }

// lister makes the list of stacks. Their files are in the cache of the installer and in the folder programs.
type lister struct{ cache, programs string }

func (l lister) cached(file string) string  { return filepath.Join(l.cache, file) }
func (l lister) program(file string) string { return filepath.Join(l.programs, file) }

// stacksHere are all that can be had here, in the order of the matrix.
func stacksHere(cache, programs string) []stack {
	l := lister{cache, programs}
	all := slices.Concat(l.golang(), l.rustls(), l.tools(), l.javascript(), l.java(), l.erlang(), l.gnutls())
	for i, s := range all {
		cached := strings.HasPrefix(s.command[0], cache)
		all[i].here = s.debian == "" && !cached || s.name == "Go 1.26" || s.name == "rustls 0.20 with ring"
	}
	return all
}

func (l lister) golang() (all []stack) {
	for _, v := range []string{"1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"} {
		binary := l.cached("go/connect-" + v)
		all = append(all, stack{
			name: "Go " + v, command: []string{binary}, version: []string{"go", "version", binary},
		})
	}
	return all
}

func (l lister) rustls() []stack {
	old := l.cached("rustls/old")
	all := []stack{{
		name: "rustls 0.20 with ring", command: []string{old}, version: []string{"cat", old + ".version"},
	}}
	for _, provider := range []string{"ring", "aws-lc-rs", "no provider"} {
		binary := l.cached("rustls/" + strings.ReplaceAll(provider, " ", "-"))
		all = append(all, stack{
			name: "rustls 0.23 with " + provider, command: []string{binary},
			version: []string{"cat", binary + ".version"},
		})
	}
	return all
}

// tools are what each Debian has on OpenSSL.
func (l lister) tools() []stack {
	var openssl, libpq, python []stack
	for i, debian := range debians() {
		openssl = append(openssl, stack{
			name: "OpenSSL " + []string{"1.1.1", "3.0", "3.5", "3.6"}[i], debian: debian, onlyTLS: true,
			command: []string{"sh", l.program("openssl.sh")}, version: []string{"openssl", "version"},
		})
		libpq = append(libpq, stack{
			name: "libpq " + []string{"13", "15", "17", "18"}[i], debian: debian,
			command: []string{"sh", l.program("psql.sh")}, version: []string{"psql", "--version"},
		})
		python = append(python, stack{
			name: "Python " + []string{"3.9", "3.11", "3.13", "3.14"}[i], debian: debian,
			command: []string{"/usr/bin/python3", l.program("python/connect.py")},
			version: []string{
				"/usr/bin/python3", "-c", "import ssl, sys; print(sys.version.split()[0], ssl.OPENSSL_VERSION)",
			},
		})
	}
	return slices.Concat(openssl, libpq, python)
}

func (l lister) javascript() (all []stack) {
	for _, v := range []string{"8", "10", "12", "14", "16", "18", "22", "24", "26"} {
		node := l.cached("npm/node_modules/node" + v + "/bin/node")
		all = append(all, stack{
			name: "Node " + v, command: []string{node, l.program("node/connect.js")},
			version: []string{node, "-p", "process.version + ' OpenSSL ' + process.versions.openssl"},
		})
	}
	bun := l.cached("npm/node_modules/bun/bin/bun")
	all = append(all, stack{
		name: "Bun 1.4", command: []string{bun, l.program("node/connect.js")},
		version: []string{bun, "-p", "process.versions.bun + ' BoringSSL ' + process.versions.boringssl"},
	})
	for _, v := range []string{"1", "2"} {
		deno := l.cached("npm/node_modules/deno" + v + "/deno")
		all = append(all, stack{
			name: "Deno " + v, command: []string{deno, "run", "--allow-all", l.program("deno/connect.js")},
			version: []string{deno, "--version"},
		})
	}
	return all
}

func (l lister) java() (all []stack) {
	for _, java := range []struct{ version, debian, home string }{
		{"8", "sid", "java-8-openjdk-amd64/jre"},
		{"11", "bullseye", "java-11-openjdk-amd64"},
		{"17", "", "java-17-openjdk-amd64"},
		{"21", "trixie", "java-21-openjdk-amd64"},
		{"25", "trixie", "java-25-openjdk-amd64"},
	} {
		binary := "/usr/lib/jvm/" + java.home + "/bin/java"
		all = append(all, stack{
			name: "Java " + java.version, debian: java.debian,
			command: []string{binary, "-cp", l.program("java"), "Connect"}, version: []string{binary, "-version"},
		})
	}
	return all
}

func (l lister) erlang() (all []stack) {
	const version = `{ok, V} = file:read_file(filename:join([code:root_dir(), "releases",
		erlang:system_info(otp_release), "OTP_VERSION"])), io:format("OTP ~s", [V]), halt().`
	for i, debian := range debians() {
		all = append(all, stack{
			name: "Erlang " + []string{"23", "25", "27", "29"}[i], debian: debian,
			// A certificate that OTP 23 cannot decode spoils later connections of its process.
			single:  i == 0,
			command: []string{"escript", l.program("erlang/connect.escript")},
			version: []string{"erl", "-noshell", "-eval", version},
		})
	}
	return all
}

func (l lister) gnutls() (all []stack) {
	for i, debian := range debians() {
		all = append(all, stack{
			name: "GnuTLS " + []string{"3.7.1", "3.7.9", "3.8.9", "3.8.13"}[i], debian: debian, onlyTLS: true,
			command: []string{"sh", l.program("gnutls.sh")}, version: []string{"gnutls-cli", "--version"},
		})
	}
	return all
}
