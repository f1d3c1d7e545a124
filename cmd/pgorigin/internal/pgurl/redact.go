package pgurl

import (
	"net/url"
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
	authority, _ := decode(u.authority, "") // Parse has decoded both
	path, _ := decode(u.path, "")
	text.WriteString(strings.ReplaceAll(escape(authority), "/", "%2F") + escape(path))
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
			text.WriteString(p.name + "=" + escape(p.value))
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

// escape returns text with every character escaped that has a meaning in a URL, or is not printable.
func escape(text string) string {
	text = strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
	return strings.NewReplacer("%2F", "/", "%3A", ":", "%2C", ",", "%5B", "[", "%5D", "]").Replace(text)
}
