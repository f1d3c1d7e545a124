package inject

import (
	"fmt"
	"strings"
)

// Bounds of what one object may cost. The author of an object chooses its size.
const (
	// maxReview is the longest review in bytes. etcd takes objects up to 1.5 MiB.
	maxReview = 2 << 20
	// maxValues is how many JSON values a pod may have. Each costs up to 100 bytes of memory. Large pods have
	// some thousands.
	maxValues = 20000
	// maxPatch is the longest patch in bytes. A container needs less than 200 of them.
	maxPatch = 32 << 10
	// maxProblems is how many problems of one object are listed. Others are counted.
	maxProblems = 10
	// maxName is the longest name in a message, in bytes. Names of Kubernetes are shorter.
	maxName = 253
	// maxMessage is the longest refusal in bytes.
	maxMessage = 4 << 10
)

// few returns the first problems or names of an object, and how many more there are.
func few(texts []string, what string) []string {
	if more := len(texts) - maxProblems; more > 0 {
		return append(texts[:maxProblems:maxProblems], fmt.Sprintf("and %d more %s", more, what))
	}
	return texts
}

// short returns a text of at most so many bytes and an ellipsis.
func short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// countValues counts the values in JSON text, or a few more. The text may have mistakes.
func countValues(text []byte) (n int) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++ // what follows is part of the string
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}
