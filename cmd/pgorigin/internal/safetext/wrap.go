package safetext

import (
	"strings"
	"unicode/utf8"
)

// Columns is the width of the narrowest terminal that help, explanations and reports are for.
const Columns = 80

// Wrap breaks text at blanks into lines of at most width characters. A word that is longer than a line is
// cut. Several blanks in a row stay, so that columns stay aligned.
func Wrap(text string, width int) []string {
	var lines []string
	line, column := "", 0
	for word := range strings.SplitSeq(text, " ") {
		length := utf8.RuneCountInString(word)
		if column > 0 && column+1+length <= width {
			line, column = line+" "+word, column+1+length
			continue
		}
		if column > 0 {
			lines = append(lines, strings.TrimRight(line, " "))
		}
		for length > width {
			runes := []rune(word)
			lines = append(lines, string(runes[:width]))
			word, length = string(runes[width:]), length-width
		}
		line, column = word, length
	}
	if column > 0 {
		lines = append(lines, line)
	}
	return lines
}
