package advice

import "strings"

// Names says what variables are called for one origin. A word is the name without prefix, such as TLS_CA_FILE.
// config.Origin implements it.
type Names interface {
	// Variable returns the variable that the value comes from, which may be that of the unnamed origin.
	Variable(word string) string
	// Own returns the variable to set for this origin alone.
	Own(word string) string
}

const own = "own:"

// fill puts names of variables into a template. In it, {TLS_CA_FILE} stands for Names.Variable and {own:TLS_CA_FILE}
// for Names.Own. A template is a constant: data is added to the result, which is no template.
func fill(template string, names Names) string {
	var text strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		text.WriteString(before)
		word, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return text.String()
		}
		if name, isOwn := strings.CutPrefix(word, own); isOwn {
			text.WriteString(names.Own(name))
		} else {
			text.WriteString(names.Variable(word))
		}
		template = after
	}
}

// variablesIn returns the words of the variables that a template names.
func variablesIn(template string) []string {
	var found wordList
	fill(template, &found)
	return found
}

// wordList collects the words that it is asked for.
type wordList []string

func (l *wordList) Variable(word string) string {
	*l = append(*l, word)
	return word
}

func (l *wordList) Own(word string) string { return l.Variable(word) }
