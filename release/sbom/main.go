// Command sbom writes a CycloneDX bill of materials of a Go program, from what the linker put into it:
//
//	sbom BINARY VERSION CREATED >file.cdx.json
//
// VERSION is the release, CREATED the commit's time (RFC 3339). The same program gives the same bill: no serial number, no
// clock. A module of its own, so that the library is no dependency of pgorigin's.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("usage: sbom BINARY VERSION CREATED")
	}
	bill, err := read(args[0], args[1], args[2])
	if err != nil {
		return err
	}
	if err := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("write bill: %w", err)
	}
	return nil
}

// read makes the bill: the program, the standard library and every module that was linked.
func read(binary, version, created string) (*cdx.BOM, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read build information: %w", err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	sum := sha256.Sum256(content)
	program := component(info.Main.Path, version)
	program.Type = cdx.ComponentTypeApplication
	program.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "-trimpath":
			program.Properties = properties(program.Properties, "go:"+setting.Key, setting.Value)
		}
	}

	libraries := []cdx.Component{component("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		library := component(module.Path, module.Version)
		if library.Hashes, err = hashes(module.Sum); err != nil {
			return nil, fmt.Errorf("read checksum of %s: %w", module.Path, err)
		}
		libraries = append(libraries, library)
	}
	refs := make([]string, 0, len(libraries))
	for _, library := range libraries {
		refs = append(refs, library.BOMRef)
	}
	bill := cdx.NewBOM()
	bill.Metadata = &cdx.Metadata{Timestamp: created, Component: &program}
	bill.Components = &libraries
	bill.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return bill, nil
}

func component(path, version string) cdx.Component {
	url := "pkg:golang/" + path + "@" + version
	return cdx.Component{Type: cdx.ComponentTypeLibrary, BOMRef: url, PackageURL: url, Name: path, Version: version}
}

// hashes turns go.sum's "h1:BASE64", a SHA-256 over a module's list of files, into hexadecimal digits. A module that was
// replaced by a folder has none.
func hashes(sum string) (*[]cdx.Hash, error) {
	if sum == "" {
		return nil, nil
	}
	encoded, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return nil, fmt.Errorf("unknown kind: %.10q", sum)
	}
	value, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(value)}}, nil
}

func properties(list *[]cdx.Property, name, value string) *[]cdx.Property {
	if list == nil {
		list = &[]cdx.Property{}
	}
	*list = append(*list, cdx.Property{Name: name, Value: value})
	return list
}
