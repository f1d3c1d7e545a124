package host

import "strings"

// Lookup returns the value of a variable in env, "" if it is not there.
func Lookup(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
