package inject

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Edit changes a stream of YAML or JSON documents, as Injector.Inject and Uninject do.
type Edit func(stream []byte) ([]byte, []Note, error)

// Files applies edit to each file and joins the results into one stream. The name "-" is stdin. No name at
// all is stdin, too. The error joins the problems of all files. If there is one, there is no stream, so that
// nobody applies half of it.
func Files(names []string, stdin io.Reader, edit Edit) (stream []byte, notes []Note, err error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	var out bytes.Buffer
	var problems []error
	for _, name := range names {
		text, more, err := editFile(name, stdin, edit)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		notes = append(notes, more...)
		appendStream(&out, text)
	}
	if len(problems) > 0 {
		return nil, notes, errors.Join(problems...)
	}
	return out.Bytes(), notes, nil
}

func editFile(name string, stdin io.Reader, edit Edit) ([]byte, []Note, error) {
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the user's own choice
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = file.Close() }()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxStream+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxStream {
		return nil, nil, fmt.Errorf("%s: expected at most %d MiB; split it", name, maxStream>>20)
	}
	changed, notes, err := edit(text)
	if refused := new(Refusal); err != nil && !errors.As(err, &refused) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return changed, notes, err
}

// appendStream adds a YAML stream to another, as documents of their own.
func appendStream(out *bytes.Buffer, text []byte) {
	if out.Len() > 0 {
		if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
		if !bytes.HasPrefix(text, []byte("---")) {
			out.WriteString("---\n")
		}
	}
	out.Write(text)
}
