package pgurl

import (
	"fmt"
	"slices"
	"strings"
)

// hidden stands for what may be secret.
const hidden = "***"

// shownParameters are those whose value cannot be a secret. Names are as plain makes them.
func shownParameters() []string {
	return []string{
		"host", "hostaddr", "port", "dbname", "ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
		"sslcrldir", "sslsni", "sslcertmode", "sslnegotiation", "sslminprotocolversion", "sslmaxprotocolversion",
		"channelbinding", "requireauth", "gssencmode", "targetsessionattrs", "targetservertype",
		"loadbalancehosts", "connecttimeout", "applicationname", "service", "passfile",
	}
}

// Redacted returns the URL without its secrets: the user, the password, and every parameter that may have
// one. It is printable: other characters are escaped.
func (u *URL) Redacted() string {
	var text strings.Builder
	text.WriteString(u.head)
	if u.userinfo != "" {
		text.WriteString(hidden + "@")
	}
	text.WriteString(printable(u.authority) + printable(u.path))
	separator := "?"
	for _, p := range u.params {
		text.WriteString(separator)
		separator = "&"
		switch {
		case !namePattern.MatchString(p.name):
			text.WriteString(hidden)
		case p.value == "":
			text.WriteString(p.name)
		case slices.Contains(shownParameters(), plain(p.name)):
			text.WriteString(printable(p.text))
		default:
			text.WriteString(p.name + "=" + hidden)
		}
	}
	return text.String()
}

// String is Redacted, so that no %v prints a secret.
func (u *URL) String() string { return u.Redacted() }

// GoString is Redacted, so that no %#v prints a secret.
func (u *URL) GoString() string { return u.Redacted() }

// printable returns a part of a URL, as written, with the characters escaped that may not be in a URL.
func printable(text string) string {
	var escaped strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' {
			fmt.Fprintf(&escaped, "%%%02X", c)
		} else {
			escaped.WriteByte(c)
		}
	}
	return escaped.String()
}
