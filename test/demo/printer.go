package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// ANSI sequences.
const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	cyan  = "\x1b[36m"
	reset = "\x1b[0m"
)

// printer writes the transcript.
type printer struct {
	out    io.Writer
	colour bool
}

// wantsColour is true for a terminal unless NO_COLOR or TERM=dumb say otherwise.
func wantsColour(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (p *printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return colour + text + reset
}

func (p *printer) line(text string) { fmt.Fprintln(p.out, text) }

func (p *printer) heading(text string) { p.line("\n" + p.paint(bold, text)) }

func (p *printer) command(text string) { p.line("   " + p.paint(cyan, "$ "+text)) }

// output prints what a program said, indented.
func (p *printer) output(text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line("     " + line)
	}
}

// note prints a remark about what is seen.
func (p *printer) note(text string) { p.line("   " + p.paint(dim, text)) }

func (p *printer) check(text string) { p.line("   " + p.paint(green, "✓ "+text)) }

func (p *printer) cross(err error) { p.line("   " + p.paint(red, "✗ "+err.Error())) }

func (p *printer) failure(err error) { p.line("\n" + p.paint(red, "demo: "+err.Error())) }
