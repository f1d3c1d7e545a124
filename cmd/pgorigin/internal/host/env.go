package host

import "strings"

// Getenv returns the value of a variable in env, or "" if it is not there.
func Getenv(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
