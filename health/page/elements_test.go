package page

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// element is one start tag, and what is within it as text.
type element struct {
	name   string
	attrs  map[string]string
	inside []string // names of elements around it, the outermost first
	text   string
}

func (e element) keys() string {
	keys := []string{}
	for key := range e.attrs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

// elements parses a page as strictly as XML is.
func elements(t *testing.T, body string) []element {
	t.Helper()
	in := xml.NewDecoder(strings.NewReader(body))
	var all []element
	var open []int
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("the page is malformed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attrs: map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			for _, i := range open {
				e.inside = append(e.inside, all[i].name)
			}
			open, all = append(open, len(all)), append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			for _, i := range open {
				all[i].text += string(token)
			}
		}
	}
}

// A screen reader finds its way: one main heading, no level left out, sections with names, tables with
// scopes, drawings with words.
func TestPageIsAccessible(t *testing.T) {
	for _, state := range pageStates() {
		t.Run(state.name, func(t *testing.T) {
			all := elements(t, page(t, state.snapshot, "/").body)
			ids, before, mains, words := map[string]bool{}, 0, 0, 0
			for _, e := range all {
				if id := e.attrs["id"]; id != "" && ids[id] {
					t.Errorf("two elements are %q", id)
				}
				ids[e.attrs["id"]] = true
			}
			for _, e := range all {
				assertAccessible(t, e, ids)
				switch e.name {
				case "main":
					mains++
				case "desc":
					words++
				case "h1", "h2", "h3", "h4":
					rank := int(e.name[1] - '0')
					if rank > before+1 || rank == 1 && before > 0 {
						t.Errorf("%s %q follows h%d", e.name, e.text, before)
					}
					before = rank
				}
			}
			if mains != 1 || before == 0 || words == 0 {
				t.Errorf("%d main parts, last heading h%d, %d drawings in words", mains, before, words)
			}
		})
	}
}

// assertAccessible looks at one element alone; ids are those of the page.
func assertAccessible(t *testing.T, e element, ids map[string]bool) {
	t.Helper()
	switch e.name {
	case "html":
		wantAttr(t, e, "lang", "en")
	case "section":
		if name := e.attrs["aria-labelledby"]; name == "" || !ids[name] {
			t.Errorf("a section has no name: %v", e.attrs)
		}
	case "th":
		if scope := e.attrs["scope"]; scope != "row" && scope != "col" {
			t.Errorf("scope of %q is %q", e.text, scope)
		}
	case "svg":
		if e.attrs["aria-hidden"] == "" {
			wantAttr(t, e, "role", "img")
		}
	case "desc":
		if e.text == "" || !slices.Contains(e.inside, "svg") {
			t.Error("a drawing has no description")
		}
	case "time":
		if len(e.attrs["datetime"]) != len("2026-03-01T09:15:02Z") {
			t.Errorf("datetime is %q", e.attrs["datetime"])
		}
	case "a":
		href := e.attrs["href"]
		if strings.TrimSpace(e.text) == "" || !strings.HasPrefix(href, "/") && !ids[strings.TrimPrefix(href, "#")] {
			t.Errorf("link %q leads to %q", e.text, href)
		}
	}
	if e.attrs["style"] != "" || e.name == "script" || e.name == "img" {
		t.Errorf("<%s %s> does not fit the policy", e.name, e.keys())
	}
}

func wantAttr(t *testing.T, e element, key, want string) {
	t.Helper()
	if e.attrs[key] != want {
		t.Errorf("%s of <%s> is %q, want %q", key, e.name, e.attrs[key], want)
	}
}
