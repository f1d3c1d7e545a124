package inject

import (
	"bytes"
	"fmt"
	"iter"
)

const (
	// maxStream bounds a file, so that it takes seconds.
	maxStream = 16 << 20
	// maxDocument bounds one document, before and after an edit. Its tree takes about twenty times its size.
	maxDocument = 8 << 20
	// minBatch bounds small documents that are parsed together. A parser for each of them would be slow.
	minBatch = 64 << 10
)

// position says where in a stream a text begins: how many lines and documents are above it.
type position struct{ lines, documents int }

// editBatches applies edit to one batch of documents after the other. Only one of them has a tree in memory
// at a time. If there is a problem in any batch, there is no stream.
func editBatches(stream []byte, edit func(*source, *report) ([]byte, error)) ([]byte, []Note, error) {
	var (
		at   position
		said report
		out  [][]byte
	)
	for batch := range batches(stream, minBatch) {
		if len(batch) > maxDocument {
			return nil, nil, fmt.Errorf("document %d has more than %d MiB: split it, for example a List by namespace",
				at.documents+1, maxDocument>>20)
		}
		s, err := parse(batch, at)
		if err != nil {
			return nil, nil, err
		}
		at.lines += bytes.Count(batch, []byte("\n"))
		at.documents += len(s.documents)
		text, err := edit(s, &said)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, text)
	}
	if len(said.problems) > 0 {
		return nil, nil, &Refusal{said.problems}
	}
	return bytes.Join(out, nil), said.notes, nil
}

// batches cuts a stream between documents. A batch is one document, or several that are smaller than size
// together.
func batches(stream []byte, size int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start, last := 0, 0 // of the batch, and of its last document
		goesOn := func(at int) bool {
			if at-start >= size && last > start {
				if !yield(stream[start:last]) {
					return false
				}
				start = last
			}
			last = at
			return true
		}
		directives := false // belong to the document below
		for at := 0; at < len(stream); {
			line := stream[at:]
			if i := bytes.IndexByte(line, '\n'); i >= 0 {
				line = line[:i+1]
			}
			switch {
			case startsDocument(line):
				if !directives && !goesOn(at) {
					return
				}
				directives = false
			case line[0] == '%':
				directives = true
			case !isComment(line):
				directives = false
			}
			at += len(line)
		}
		if goesOn(len(stream)) && start < len(stream) {
			yield(stream[start:])
		}
	}
}

// startsDocument reports whether a line ends the document above, even within a text in quotes.
func startsDocument(line []byte) bool {
	rest, found := bytes.CutPrefix(line, []byte("---"))
	return found && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// isComment reports whether a line has at most a comment.
func isComment(line []byte) bool {
	text := bytes.TrimSpace(line)
	return len(text) == 0 || text[0] == '#'
}

// report collects what there is to say about the objects of a stream.
type report struct{ notes, problems []Note }

func (r *report) note(w workload, texts ...string) {
	for _, text := range texts {
		r.notes = append(r.notes, Note{Object: w.name, Text: text})
	}
}

// hint adds notes that have no object.
func (r *report) hint(w workload, hints ...Note) {
	for _, h := range hints {
		h.Object = w.name
		r.notes = append(r.notes, h)
	}
}

// refuse adds problems of one object.
func (r *report) refuse(w workload, problems ...string) {
	for _, text := range few(problems, "problems") {
		r.problems = append(r.problems, Note{Object: w.name, Text: text})
	}
}
