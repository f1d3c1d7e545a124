// Command pictures is "make pictures": it draws the pictures of README again. The status page is one of the pages
// that health/page keeps in testdata. The output of check comes from a real check of a pgbouncer whose
// certificate has another name. It needs Debian's Chromium.
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const (
	statusPage = "health/page/testdata/expiry.html"
	folder     = "docs/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	lab, err := servers.NewLab(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := lab.Close(); err == nil {
			err = closeErr
		}
	}()
	page, err := filepath.Abs(statusPage)
	if err != nil {
		return err
	}
	if err := draw(ctx, lab, page, "status-page.png", image.Pt(1200, 1155)); err != nil {
		return err
	}
	report, err := failingCheck(ctx, lab)
	if err != nil {
		return err
	}
	terminal := filepath.Join(lab.Dir(), "check.html")
	if err := os.WriteFile(terminal, terminalWith(report), 0o600); err != nil {
		return fmt.Errorf("write the output of check: %w", err)
	}
	lines := bytes.Count(report, []byte("\n"))
	return draw(ctx, lab, terminal, "check.png", image.Pt(800, 40+18*(lines+1)))
}

// failingCheck returns what check prints about a pgbouncer whose certificate has another name.
func failingCheck(ctx context.Context, lab *servers.Lab) ([]byte, error) {
	binary, err := lab.Build(ctx)
	if err != nil {
		return nil, err
	}
	postgres, err := lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		return nil, err
	}
	const name = "pgbouncer.internal"
	pair := lab.CA.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{name}, Key: tlstest.P256})
	bouncer, err := lab.PgBouncer(ctx, postgres, servers.PgBouncerOptions{Certificate: pair})
	if err != nil {
		return nil, err
	}
	check := exec.CommandContext(ctx, binary, "check")
	check.Env = []string{
		"PGORIGIN_UPSTREAM_ADDR=" + bouncer.Addr, "PGORIGIN_TLS_SERVER_NAME=pgbouncer.prod",
		"PGORIGIN_TLS_CA_PEM=" + string(lab.CA.PEM()),
	}
	report, err := check.Output()
	if len(report) == 0 {
		return nil, fmt.Errorf("check printed nothing: %w", err)
	}
	return report, nil
}

// terminalWith returns a page that looks like a terminal.
func terminalWith(output []byte) []byte {
	return []byte(`<!DOCTYPE html><meta charset="utf-8"><style>
body { margin: 0; padding: 16px 20px; background: #12161c; color: #e8ebef; }
pre { margin: 0; font: 14px/18px "DejaVu Sans Mono", monospace; white-space: pre-wrap; }
b { color: #ff9d9d; }
</style><pre>$ pgorigin check
` + strings.ReplaceAll(html.EscapeString(string(output)), "FAIL", "<b>FAIL</b>") + `</pre>`)
}

// draw renders a page in light colours, as PNG with a palette.
func draw(ctx context.Context, lab *servers.Lab, page, name string, size image.Point) error {
	shot := filepath.Join(lab.Dir(), name)
	// Root has no sandbox to offer, and nothing but these two pages is looked at.
	chromium := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu",
		"--hide-scrollbars", "--no-first-run", "--disable-dev-shm-usage", "--allow-file-access-from-files",
		"--user-data-dir="+filepath.Join(lab.Dir(), "chromium"),
		fmt.Sprintf("--window-size=%d,%d", size.X, size.Y), "--screenshot="+shot, "file://"+page)
	if out, err := chromium.CombinedOutput(); err != nil {
		return fmt.Errorf("chromium: %w: %s", err, out)
	}
	shown, err := os.ReadFile(shot)
	if err != nil {
		return fmt.Errorf("read the screenshot: %w", err)
	}
	picture, err := png.Decode(bytes.NewReader(shown))
	if err != nil {
		return fmt.Errorf("decode the screenshot: %w", err)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, withPalette(picture)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), out.Bytes(), 0o644)
}

// withPalette keeps the 256 commonest colours of a picture. Others become the nearest of these.
func withPalette(picture image.Image) image.Image {
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	common := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Compare(counts[b], counts[a])
	})
	paletted := image.NewPaletted(bounds, common[:min(len(common), 256)])
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			paletted.Set(x, y, picture.At(x, y))
		}
	}
	return paletted
}
