package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
)

var manFolder = flag.String("man", "", "folder for the man pages; empty: a temporary one")

// TestCommandsPage compares docs/reference/commands.md with the commands; -update writes it.
func TestCommandsPage(t *testing.T) {
	var page bytes.Buffer
	fmt.Fprint(&page, "<!-- make docs writes this page. -->\n\n# Commands\n\nA long flag also works with one dash.\n")
	root := newRootCommand(new(program))
	section := func(cmd *cobra.Command) {
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n```text\n", cmd.CommandPath(), text)
		writeUsage(&page, cmd)
		fmt.Fprint(&page, "```\n")
	}
	section(root)
	fmt.Fprint(&page, "\n[Configuration](configuration.md) lists the environment variables.\n")
	for _, group := range root.Groups() {
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID && cmd.Name() != "help" {
				section(cmd)
			}
		}
	}
	golden.Compare(t, "../../docs/reference/commands.md", page.String())
}

// TestManPages makes one page for each command. "make man" keeps them.
func TestManPages(t *testing.T) {
	folder := *manFolder
	if folder == "" {
		folder = t.TempDir()
	}
	root := newRootCommand(new(program))
	root.DisableAutoGenTag = true
	var environment strings.Builder
	config.WriteHelp(&environment)
	root.Long += "\n\n# ENVIRONMENT\n```\n" + environment.String() + "```"
	header := &doc.GenManHeader{Title: "PGORIGIN", Section: "1", Source: "pgorigin", Manual: "pgorigin"}
	if err := doc.GenManTree(root, header, folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "-check", "-inject", "-webhook"} {
		page, err := os.ReadFile(filepath.Join(folder, "pgorigin"+name+".1"))
		if err != nil || !bytes.Contains(page, []byte(".SH OPTIONS")) {
			t.Errorf("pgorigin%s.1: %v, %.300s", name, err, page)
		}
	}
}
