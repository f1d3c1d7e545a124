package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where the documentation is, below the top of the repository.
const (
	samplesFile = "docs/performance.json"
	pageFile    = "docs/performance.md"
	plotFolder  = "docs/performance"
)

// history are the runs that the documentation shows, the newest first.
type history struct{ Runs []*report }

// keptRuns is how many runs are shown: the last, and one before it to see what repeats itself.
const keptRuns = 2

// readHistory reads what the documentation was made from. A repository without it has no runs.
func readHistory(top string) (*history, error) {
	text, err := os.ReadFile(filepath.Join(top, samplesFile))
	if errors.Is(err, os.ErrNotExist) {
		return &history{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read earlier runs: %w", err)
	}
	h := &history{}
	if err := json.Unmarshal(text, h); err != nil {
		return nil, fmt.Errorf("read earlier runs: %w", err)
	}
	return h, nil
}

// add puts a run before the others. A quick one is forgotten when a real one comes. What the run has not measured it takes
// over from the one before, and leaves beside it what stood there.
func (h *history) add(r *report) {
	h.Runs = slices.DeleteFunc(h.Runs, func(before *report) bool { return before.Quick && !r.Quick })
	fresh := r.figures()
	if len(h.Runs) > 0 {
		r.takeOver(h.Runs[0])
	}
	if len(h.Runs) > 1 {
		h.Runs[0].stepBack(h.Runs[1], fresh)
	}
	h.Runs = append([]*report{r}, h.Runs...)
	h.Runs = h.Runs[:min(len(h.Runs), keptRuns)]
}

// files are all files of the documentation, by their paths below the top of the repository.
func (h *history) files() (map[string]string, error) {
	if len(h.Runs) == 0 {
		return nil, errors.New("no run to show: make bench UPDATE=-update makes one")
	}
	samples, err := json.MarshalIndent(h, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write samples: %w", err)
	}
	files := map[string]string{samplesFile: compact(string(samples)) + "\n", pageFile: h.page()}
	for _, f := range figures() {
		if panels := h.Runs[0].panels(f); len(panels) > 0 {
			files[plotFolder+"/"+f.name+".svg"] = plot(f.title, panels)
		}
	}
	return files, nil
}

// write brings the documentation up to date.
func (h *history) write(top string) error {
	files, err := h.files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(top, plotFolder), 0o755); err != nil {
		return fmt.Errorf("write documentation: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write documentation: %w", err)
		}
	}
	return nil
}

// panels are the plots of a figure: one for each situation and charted metric.
func (r *report) panels(f figure) (panels []panel) {
	for _, m := range f.metrics {
		if !m.charted {
			continue
		}
		for _, situation := range r.situations(f) {
			short, _, _ := strings.Cut(situation, " (") // the table has the rest
			p := panel{title: m.name + " · " + short, axis: strings.TrimSuffix(m.name+", "+m.unit, ", ")}
			for _, name := range r.Rows {
				s := r.find(f.name, situation, name, m.name)
				if s == nil || s.Missing == noTunnel {
					continue
				}
				why, _, _ := strings.Cut(s.Missing, ":") // the table has the whole of it
				b := bar{label: name, mine: r.isOrigin(name), missing: why}
				if len(s.Samples) > 0 {
					b.spread = spreadOf(s.Samples)
				}
				p.bars = append(p.bars, b)
			}
			if len(p.bars) > 0 {
				panels = append(panels, p)
			}
		}
	}
	return panels
}

// isOrigin says whether a row is a pgorigin.
func (r *report) isOrigin(row string) bool {
	return slices.ContainsFunc(r.Origins, func(label string) bool { return row == label || strings.HasPrefix(row, label+", ") })
}

// compact writes lists of numbers on one line.
func compact(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasSuffix(trimmed, `"Samples": [`):
			inside = true
			b.WriteString(strings.TrimRight(line, "\n"))
		case inside:
			inside = !strings.HasPrefix(trimmed, "]")
			b.WriteString(trimmed)
			if inside {
				b.WriteByte(' ')
			} else {
				b.WriteByte('\n')
			}
		default:
			b.WriteString(line)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
