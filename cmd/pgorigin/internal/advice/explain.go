package advice

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// UnknownWordError says that a word is neither a reason nor a variable.
type UnknownWordError struct{ Word, Nearest string } // Nearest is empty if no word is like it

func (e *UnknownWordError) Error() string {
	text := "there is no reason or variable " + safetext.Quote(e.Word)
	if e.Nearest != "" {
		text += "; did you mean " + e.Nearest + "?"
	}
	return text
}

// Explain writes what there is to say about a reason or a variable, or about both if they have one name. The
// prefix of a variable may be left out. The error is an *UnknownWordError, or one of writing.
func Explain(w io.Writer, word string) error {
	var pages []string
	if r, ok := lookup(word); ok {
		pages = append(pages, explainReason(r))
	}
	if v, ok := lookupVariable(word); ok {
		pages = append(pages, explainVariable(v))
	}
	if len(pages) == 0 {
		return &UnknownWordError{Word: word, Nearest: nearest(word)}
	}
	if _, err := io.WriteString(w, strings.Join(pages, "\n")); err != nil {
		return fmt.Errorf("write explanation: %w", err)
	}
	return nil
}

// lookupVariable finds a variable as config.Lookup does, also by the name that a further origin has for it.
func lookupVariable(name string) (v config.Variable, ok bool) {
	if v, ok = config.Lookup(name); ok {
		return v, true
	}
	rest, ours := strings.CutPrefix(name, config.Prefix)
	if first, _, _ := strings.Cut(rest, "_"); !ours || slices.Contains(config.FirstWords(), first) {
		return v, false
	}
	longest := ""
	for _, word := range config.OriginWords() {
		if strings.HasSuffix(rest, "_"+word) && len(word) > len(longest) {
			longest = word
		}
	}
	return config.Lookup(longest)
}

// nearest returns the reason or the variable that is most like a word; empty if none is.
func nearest(word string) string {
	if len(word) < len("ok")+2 { // everything so short is like ok
		return ""
	}
	if near := config.Nearest(word, append(Words(), config.Names()...)); near != "" {
		return near
	}
	return config.Nearest(config.Prefix+strings.ToUpper(word), config.Names())
}

// explainReason uses the variables of the unnamed origin.
func explainReason(r reason) string {
	page := new(strings.Builder)
	fmt.Fprintf(page, "%s\n\n", r.Word)
	paragraph(page, "  ", "  ", r.Meaning)
	fmt.Fprintf(page, "\n  When a session ends with it:\n    %-9s %-17s closed by\n", "phase", "SQLSTATE")
	for _, end := range r.Ends {
		state := end.SQLState
		if state == noAnswer {
			state = "no answer"
		}
		fmt.Fprintf(page, "    %-9v %-17s %s\n", end.Phase, state, r.closedBy(end))
	}
	if slices.Contains(r.Ends, ofDial()[0]) && slices.Contains(r.Ends, ofOutage()[0]) {
		paragraph(page, "    ", "    ", "57P03 means that the failure may pass by itself, and 08001 that it does not.")
	}
	if len(r.Stages) > 0 {
		fmt.Fprintln(page)
		stages := "Stages of \"pgorigin check\" that fail with it: " + stageNames(r.Stages) + "."
		paragraph(page, "  ", "  ", stages)
	}
	if layer := r.layer(); layer != tlsorigin.LayerNone {
		paragraph(page, "  ", "  ", fmt.Sprintf("How far the connection came: %v.", layer))
	}
	if len(r.Cures) > 0 {
		fmt.Fprintf(page, "\n  What to do:\n")
	}
	listCures(page, r.Cures)
	for _, c := range r.Cases {
		fmt.Fprintln(page)
		paragraph(page, "  ", "  ", "If "+c.When+":")
		listCures(page, c.Cures)
	}
	return page.String()
}

func listCures(page *strings.Builder, cures []string) {
	for _, cure := range cures {
		paragraph(page, "  - ", "    ", new(config.Origin).Fill(cure, "VALUE"))
	}
}

func stageNames(stages []diagnose.Stage) string {
	var names []string
	for _, s := range stages {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func explainVariable(v config.Variable) string {
	page := new(strings.Builder)
	fmt.Fprintf(page, "%s\n\n", v.Name())
	paragraph(page, "  ", "  ", v.Help)
	fmt.Fprintln(page)
	line := func(label, text string) {
		if text != "" {
			paragraph(page, fmt.Sprintf("  %-10s", label), strings.Repeat(" ", 12), text)
		}
	}
	line("Default", v.WithoutValue())
	line("Values", v.Values())
	line("Example", v.Example)
	line("Scope", v.Scope())
	if v.PerOrigin {
		line("", "An origin called reporting has "+config.Prefix+"REPORTING_"+v.Word+".")
	}
	line("File read", string(v.File))
	line("Cures", strings.Join(reasonsThatName(v.Word), ", "))
	return page.String()
}

// reasonsThatName returns the reasons that have a cure with the variable word in it.
func reasonsThatName(word string) []string {
	var words []string
	for _, r := range reasons() {
		if slices.Contains(variablesIn(strings.Join(r.allCures(), " ")), word) {
			words = append(words, r.Word)
		}
	}
	return words
}

// paragraph writes text in lines that fit a terminal, with first before the first line and rest before the
// others.
func paragraph(page *strings.Builder, first, rest, text string) {
	for i, line := range safetext.Wrap(text, safetext.Columns-len(first)) {
		if i > 0 {
			first = rest
		}
		fmt.Fprintf(page, "%s%s\n", first, line)
	}
}
