//go:build image

package image

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// One of two copies of the sources has a history of its own, as a clone has, the other has none, as an archive.
// Images are compiled in a container with a cache of its own, so what is the same there was compiled twice.
func TestTwoBuildsAreTheSame(t *testing.T) {
	ctx := testContext(t)
	one, other := copyTree(ctx, t), copyTree(ctx, t)
	history := exec.CommandContext(ctx, "sh", "-c",
		"git init -q && git add -A && git -c user.name=n -c user.email=e commit -qm all && git tag v0.0.1")
	history.Dir = other
	if out, err := history.CombinedOutput(); err != nil {
		t.Fatalf("make a history: %v\n%s", err, out)
	}
	files := makeDist(ctx, t, one)
	again := makeDist(ctx, t, other)
	if want := 2*len(platforms) + 1; len(files) != want || len(again) != want {
		t.Fatalf("%d and %d files, want %d", len(files), len(again), want)
	}
	for name, content := range files {
		if !bytes.Equal(content, again[name]) {
			t.Errorf("%s is not the same in two builds", name)
		}
	}
	t.Run("programs", func(t *testing.T) { checkPrograms(t, one) })
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run("image "+arch, func(t *testing.T) {
			id, binary := makeImage(ctx, t, one, arch)
			idAgain, _ := makeImage(ctx, t, other, arch)
			if id != idAgain {
				t.Errorf("two images: %s and %s", id, idAgain)
			}
			if !bytes.Equal(binary, read(t, filepath.Join(one, "out", program("linux", arch)))) {
				t.Error("the image's program is not the archive's")
			}
			t.Logf("linux/%s: image %.12s twice, its program the archive's, %d bytes", arch, strings.TrimPrefix(id, "sha256:"), len(binary))
		})
	}
}

var platforms = [][2]string{
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
	{"freebsd", "amd64"},
	{"freebsd", "arm64"},
}

func archive(system, arch string) string { return "pgorigin_" + version + "_" + system + "_" + arch }

func program(system, arch string) string {
	if system == "windows" {
		return archive(system, arch) + "/pgorigin.exe"
	}
	return archive(system, arch) + "/pgorigin"
}

// makeDist runs "make dist" in dir, checks the checksums, unpacks everything into dir/out and returns the files.
func makeDist(ctx context.Context, t *testing.T, dir string) map[string][]byte {
	t.Helper()
	dist := exec.CommandContext(ctx, "make", append([]string{"dist"}, release...)...)
	dist.Dir = dir
	if out, err := dist.CombinedOutput(); err != nil {
		t.Fatalf("make dist: %v\n%s", err, out)
	}
	check := exec.CommandContext(ctx, "sh", "-c", `sha256sum --check --strict --quiet SHA256SUMS && mkdir ../out &&
		for archive in *.tar.gz; do tar -C ../out -xf "$archive" || exit 1; done`)
	check.Dir = filepath.Join(dir, "dist")
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("check and unpack: %v\n%s", err, out)
	}
	entries, err := os.ReadDir(check.Dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		files[entry.Name()] = read(t, filepath.Join(check.Dir, entry.Name()))
	}
	return files
}

// checkPrograms looks at what was unpacked: for the right platform, static, and the one for here says what it was made from.
func checkPrograms(t *testing.T, dir string) {
	for _, p := range platforms {
		path := filepath.Join(dir, "out", program(p[0], p[1]))
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"GOOS": p[0], "GOARCH": p[1], "CGO_ENABLED": "0"} {
			if !slices.Contains(info.Settings, debug.BuildSetting{Key: key, Value: want}) {
				t.Errorf("%s was not built with %s=%s", path, key, want)
			}
		}
		checkFormat(t, path, p[0])
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "out", program("linux", runtime.GOARCH)), "version", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Version, Revision, Date string }
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	if said.Version != version || said.Revision != revision || said.Date != created {
		t.Errorf("the program says that it is %+v", said)
	}
}

// checkFormat opens the program as the system's loader does. One for Linux or FreeBSD needs no other loader.
func checkFormat(t *testing.T, path, system string) {
	t.Helper()
	var file io.Closer
	var err error
	switch system {
	case "darwin":
		file, err = macho.Open(path)
	case "windows":
		file, err = pe.Open(path)
	default:
		var program *elf.File
		if program, err = elf.Open(path); err == nil {
			file = program
			if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
				t.Errorf("%s is dynamic", path)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
}

// makeImage builds the image for arch in dir and returns its ID, which is a digest of all that is in it, and its program.
// The format is OCI's: Docker's notes a random container ID when buildah writes it.
func makeImage(ctx context.Context, t *testing.T, dir, arch string) (id string, binary []byte) {
	t.Helper()
	e, name := builder(t), "localhost/pgorigin:reproducible-"+arch
	flags := []string{"--format=oci", "--timestamp=1700000000"}
	if err := e.Image(ctx, dir, "linux/"+arch, flags, append(release, "IMAGE="+name)...); err != nil {
		t.Fatal(err)
	}
	facts, err := e.Inspect(ctx, name, "{{.Id}} {{.Architecture}}")
	if err != nil {
		t.Fatal(err)
	}
	id, gotArch, _ := strings.Cut(facts, " ")
	if gotArch != arch {
		t.Errorf("the image is for %s, want %s", gotArch, arch)
	}
	root, err := e.Podman(ctx, "image", "mount", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Podman(ctx, "image", "unmount", name).Run() }()
	return id, read(t, filepath.Join(strings.TrimSpace(string(root)), "pgorigin"))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
