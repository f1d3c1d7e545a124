// Command compose reads a compose file by Compose's own library and prints it as JSON, all defaults and variables filled in:
//
//	compose FILE [NAME=VALUE...]
//
// FILE may be a page of the documentation: its one block of YAML that begins with "services:" is read then.
// The environment is what the arguments say and nothing else. What Compose warns of is an error. A module of its own, so that
// the library is no dependency of pgorigin's; test/image runs what this prints.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: compose FILE [NAME=VALUE...]")
	}
	project, err := load(ctx, args[0], args[1:]...)
	if err != nil {
		return err
	}
	text, err := project.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode project: %w", err)
	}
	_, err = os.Stdout.Write(text)
	return err
}

// services finds the compose files in a page.
var services = regexp.MustCompile("(?ms)^```yaml\n(services:.*?)^```")

// load reads a file, or the one compose file in a page, as "docker compose" does.
func load(ctx context.Context, file string, env ...string) (*types.Project, error) {
	if filepath.Ext(file) != ".md" {
		return loadFile(ctx, file, env)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	blocks := services.FindAllSubmatch(page, -1)
	if len(blocks) != 1 {
		return nil, fmt.Errorf("%s has %d compose files, not one", file, len(blocks))
	}
	dir, err := os.MkdirTemp("", "compose")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing but one small file
	copied := filepath.Join(dir, "compose.yaml")
	if err := os.WriteFile(copied, blocks[0][1], 0o600); err != nil {
		return nil, fmt.Errorf("write compose file of %s: %w", file, err)
	}
	return loadFile(ctx, copied, env)
}

func loadFile(ctx context.Context, file string, env []string) (*types.Project, error) {
	var warnings bytes.Buffer
	logrus.SetOutput(&warnings)
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv(env))
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", file, err)
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", file, err)
	}
	if warnings.Len() > 0 {
		return nil, fmt.Errorf("load %s: warnings: %s", file, warnings.String())
	}
	return project, nil
}
