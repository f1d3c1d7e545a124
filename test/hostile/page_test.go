//go:build hostile

package hostile

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/attackers.md instead of comparing with it")

const pageFile = "../../docs/reference/attackers.md"

const pageHead = `# Attackers with a valid certificate

<!-- Written by "make hostile UPDATE=-update" from a run of test/hostile; edit page_test.go there, not this page. -->

Each row is an attacker between client and server. The attacker's certificate is valid: it has the
right name and comes from the same CA. That happens after a theft, or where one CA serves many
servers. Each cell says what the attacker got.

- *refused*: the client got an error, and sent no secret.
- **in the middle**: the client is logged in, and the attacker reads and changes what it likes.
- **believed**: the client takes the attacker for the server.
- **password**, **hash**: the attacker got the password or its MD5 hash.
- *the client computes*: the client itself spends minutes on its proof, with or without pgorigin.

In the rows about nonces and iterations, the attacker knows the password. They show which client
notices that it breaks the rules of SCRAM. libpq accepts a nonce to which the server has added
nothing. It reads 4,294,967,297 iterations as one.

libpq 18 is the judge in every column. It uses its own TLS (` + "`sslmode=verify-full`" + `) in the columns
named libpq. In the other columns, it uses a plaintext connection to pgorigin.

## What each mode protects from

`

const pageRequire = `
## ` + "`bridge`" + ` with ` + "`PGORIGIN_AUTH_REQUIRE`" + `

Each column allows exactly one method. A server that asks for that method gets it.

`

const pageFoot = `
Only ` + "`bridge`" + ` binds. pgorigin refuses to start with ` + "`scram-sha-256-plus`" + ` and ` + "`strip`" + ` or ` + "`pass`" + `.
` + "`pass`" + ` is for clients that need the server's own offer, such as Npgsql. libpq refuses an offer of
` + "`-PLUS`" + ` on a plaintext connection.
`

// comparePage compares the page with the run, or writes it.
func comparePage(t *testing.T, list []attacker, got map[string]string) {
	t.Helper()
	var page strings.Builder
	page.WriteString(pageHead)
	table(&page, list, got, []string{
		"libpq", "libpq require_auth=scram-sha-256", "libpq channel_binding=require", "strip", "strip scram-sha-256",
		"pass", "bridge", "bridge, password file",
	})
	page.WriteString(pageRequire)
	var columns []string
	for _, require := range requires[1:] {
		columns = append(columns, "bridge "+require)
	}
	table(&page, list, got, columns)
	page.WriteString(pageFoot)
	if *update {
		if err := os.WriteFile(pageFile, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != page.String() {
		t.Errorf("docs/reference/attackers.md is not what the run says (make hostile UPDATE=-update writes it); the run says:\n%s", &page)
	}
}

func table(page *strings.Builder, list []attacker, got map[string]string, columns []string) {
	page.WriteString("| the attacker … | and wants |")
	for _, column := range columns {
		mode, require, _ := strings.Cut(column, " ")
		if mode == "bridge," {
			mode, require = "bridge", "with AUTH_PASSWORD_FILE"
		}
		page.WriteString(" " + strings.TrimSpace(mode+" "+require) + " |")
	}
	page.WriteString("\n| --- | --- |" + strings.Repeat(" --- |", len(columns)) + "\n")
	for _, a := range list {
		page.WriteString("| " + a.name + " | " + a.wants + " |")
		for _, column := range columns {
			page.WriteString(" " + got[a.name+"\x00"+column] + " |")
		}
		page.WriteString("\n")
	}
}
