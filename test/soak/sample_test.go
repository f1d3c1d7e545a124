package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// sample is what pgorigin says about itself at one moment. Sizes are in bytes.
type sample struct {
	sessions, goroutines, descriptors int
	resident, heap                    float64
}

// meter asks one pgorigin. It keeps no connection open, which would count.
type meter struct {
	origin *servers.Origin
	admin  string // host:port of its admin endpoints
	client *http.Client
}

func newMeter(origin *servers.Origin, admin string) *meter {
	return &meter{origin, admin, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}}
}

func (m *meter) sample(ctx context.Context) (sample, error) {
	body, err := m.get(ctx, m.origin.Health+"/metrics")
	if err != nil {
		return sample{}, err
	}
	return parseSample(body)
}

// collect makes pgorigin collect its garbage, twice because what is in a sync.Pool survives the first time, and returns how
// much of its heap is left, in bytes. The metric of the same name would count what the answers themselves leave behind.
func (m *meter) collect(ctx context.Context) (float64, error) {
	var profile string
	for range 2 {
		var err error
		if profile, err = m.get(ctx, "http://"+m.admin+"/debug/pprof/heap?gc=1&debug=1"); err != nil {
			return 0, err
		}
	}
	return parseHeap(profile)
}

// parseHeap reads what the runtime says of the heap at the end of a profile's text.
func parseHeap(profile string) (float64, error) {
	const before = "\n# HeapAlloc = "
	_, rest, ok := strings.Cut(profile, before)
	if !ok {
		return 0, fmt.Errorf("the heap profile has no line %q", before[1:])
	}
	line, _, _ := strings.Cut(rest, "\n")
	heap, err := strconv.ParseFloat(line, 64)
	if err != nil {
		return 0, fmt.Errorf("size of the heap: %w", err)
	}
	return heap, nil
}

// goroutines says what the goroutines of pgorigin are doing, for whoever looks for a leak.
func (m *meter) goroutines(ctx context.Context) string {
	text, err := m.get(ctx, "http://"+m.admin+"/debug/pprof/goroutine?debug=1")
	if err != nil {
		return err.Error()
	}
	return text
}

func (m *meter) get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := m.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %d %s", response.StatusCode, body)
	}
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", url, err)
	}
	return string(body), nil
}

// parseSample reads the text format of Prometheus. Series of one name are added up.
func parseSample(text string) (sample, error) {
	sums, seen := map[string]float64{}, map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), "} ")
		if !ok {
			series, value, _ = strings.Cut(lines.Text(), " ")
		}
		name, _, _ := strings.Cut(series, "{")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			sums[name] += n
			seen[name] = true
		}
	}
	for _, name := range []string{"pgorigin_sessions_open", "go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_memstats_heap_alloc_bytes"} {
		if !seen[name] {
			return sample{}, fmt.Errorf("there is no metric %s", name)
		}
	}
	return sample{
		sessions: int(sums["pgorigin_sessions_open"]), goroutines: int(sums["go_goroutines"]), descriptors: int(sums["process_open_fds"]),
		resident: sums["process_resident_memory_bytes"], heap: sums["go_memstats_heap_alloc_bytes"],
	}, nil
}

func TestParseSample(t *testing.T) {
	const text = `# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 12
process_open_fds 9
process_resident_memory_bytes 1.5e+07
go_memstats_heap_alloc_bytes 2.5e+06
pgorigin_sessions_open{origin="default"} 3
pgorigin_sessions_open{origin="pool"} 4
`
	want := sample{sessions: 7, goroutines: 12, descriptors: 9, resident: 15e6, heap: 2.5e6}
	if got, err := parseSample(text); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := parseSample(strings.Replace(text, "process_open_fds", "process_closed_fds", 1)); err == nil {
		t.Error("no error without the number of descriptors")
	}
}

func TestParseHeap(t *testing.T) {
	const text = "heap profile: 1: 2 [3: 4] @ heap/1048576\n\n# Alloc = 7\n# HeapAlloc = 2500000\n# HeapSys = 9\n"
	if got, err := parseHeap(text); err != nil || got != 2.5e6 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", strings.Replace(text, "2500000", "much", 1)} {
		if _, err := parseHeap(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
