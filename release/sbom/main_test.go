package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill writes and reads back the bill of this very test program, which has dependencies, too.
func bill(t *testing.T) (*cdx.BOM, string) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{path, "v1.2.3", "2026-01-02T03:04:05Z"}, &out); err != nil {
		t.Fatal(err)
	}
	var read cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(out.Bytes()), cdx.BOMFileFormatJSON).Decode(&read); err != nil {
		t.Fatal(err)
	}
	return &read, out.String()
}

func TestProgramIsNamedByReleaseAndContent(t *testing.T) {
	b, _ := bill(t)
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	program := b.Metadata.Component
	if program.Version != "v1.2.3" || program.Type != cdx.ComponentTypeApplication {
		t.Errorf("the program is %s, version %s", program.Type, program.Version)
	}
	if got := (*program.Hashes)[0].Value; got != hex.EncodeToString(sum[:]) {
		t.Errorf("its hash is %s", got)
	}
	if b.Metadata.Timestamp != "2026-01-02T03:04:05Z" || b.SerialNumber != "" {
		t.Errorf("time %q, serial number %q: a second run would differ", b.Metadata.Timestamp, b.SerialNumber)
	}
}

func TestEveryLinkedModuleIsListed(t *testing.T) {
	b, _ := bill(t)
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Fatal("this test was linked without modules")
	}
	for _, module := range info.Deps {
		listed := slices.ContainsFunc(*b.Components, func(c cdx.Component) bool {
			return c.PackageURL == "pkg:golang/"+module.Path+"@"+module.Version && len((*c.Hashes)[0].Value) == 64
		})
		if !listed {
			t.Errorf("%s %s is not in the bill", module.Path, module.Version)
		}
	}
	if first := (*b.Components)[0]; first.Name != "std" || !strings.HasPrefix(first.Version, "1.") {
		t.Errorf("the standard library is listed as %s %s", first.Name, first.Version)
	}
	if got := len(*(*b.Dependencies)[0].Dependencies); got != len(info.Deps)+1 {
		t.Errorf("%d dependencies, want %d", got, len(info.Deps)+1)
	}
}

func TestTwoRunsAreTheSame(t *testing.T) {
	_, one := bill(t)
	_, other := bill(t)
	if one != other {
		t.Error("two bills of one program differ")
	}
}

func TestWhatIsNoProgramIsRefused(t *testing.T) {
	if err := run([]string{"main.go", "v1", "now"}, &bytes.Buffer{}); err == nil {
		t.Error("a source file was taken for a program")
	}
	if err := run(nil, &bytes.Buffer{}); err == nil {
		t.Error("no arguments were taken for some")
	}
}
