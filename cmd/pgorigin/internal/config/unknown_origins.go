package config

import (
	"fmt"
	"slices"
	"strings"
)

// names returns the names of all settings that there are with these origins.
func (s *Config) names() []string {
	all, words := Names(), OriginWords()
	for _, o := range s.named {
		for _, word := range words {
			all = append(all, o.prefix()+word)
		}
	}
	return all
}

// originOf returns the origin whose variables begin like name: that with the longest name, the unnamed one if none does.
func (s *Config) originOf(name string) *Origin {
	best := &s.Origin
	for _, o := range s.named {
		if strings.HasPrefix(name, o.prefix()) && len(o.prefix()) > len(best.prefix()) {
			best = o
		}
	}
	return best
}

// advice names the variable that was probably meant by this origin's prefix and word.
func (o *Origin) advice(word string) string {
	if slices.Contains(Names(), Prefix+word) {
		return fmt.Sprintf("%s is for the whole process, not for an origin", Prefix+word)
	}
	var full []string
	for _, known := range OriginWords() {
		full = append(full, Prefix+known)
	}
	if near := Nearest(Prefix+word, full); near != "" {
		return "did you mean " + o.prefix() + strings.TrimPrefix(near, Prefix) + "?"
	}
	return "\"pgorigin help\" lists what an origin has"
}

// strangerOf returns the origin, in lower case, whose variable name would be if there were such an origin.
func strangerOf(name string) (origin string, ok bool) {
	for _, word := range OriginWords() {
		rest, found := strings.CutSuffix(strings.TrimPrefix(name, Prefix), "_"+word)
		if origin = strings.ToLower(rest); found && wrongOriginName(origin) == "" {
			return origin, true
		}
	}
	return "", false
}

// strangerAdvice is for the variable of an origin that is not in the list.
func (s *Config) strangerAdvice(stranger, word string) string {
	if near := Nearest(stranger, s.Origins); near != "" {
		return "did you mean " + Prefix + strings.ToUpper(near) + "_" + word + "?"
	}
	return fmt.Sprintf("there is no origin %s; add it to %sORIGINS, or remove this", stranger, Prefix)
}
