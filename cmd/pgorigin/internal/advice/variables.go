package advice

import "strings"

// variablesIn returns the words of the variables that a template names, such as TLS_CA_FILE.
func variablesIn(template string) []string {
	var words []string
	for {
		_, rest, found := strings.Cut(template, "{")
		word, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return words
		}
		if word != "" { // else it stands for the value of an error
			words = append(words, strings.TrimPrefix(word, "own:"))
		}
		template = after
	}
}
