package pgurl

import (
	"net/url"
	"slices"
	"strings"
)

// Place is where pgorigin listens.
type Place struct {
	Host string // an IP address or a name; if it begins with "/", the folder of a Unix socket
	Port string

	Bridge bool // pgorigin asks for a cleartext password, so a client must not insist on another method
}

// LeadingTo returns the URL that leads to pgorigin instead. It has no TLS: pgorigin has that. All else stays
// as it was written: user, password, database and the other parameters, with their order and escapes.
func (u *URL) LeadingTo(place Place) string {
	var params []string
	for _, p := range u.params {
		if p.ofTransport() || place.Bridge && p.is("require_auth") {
			continue
		}
		params = append(params, p.text)
	}
	authority := place.Host + ":" + place.Port
	switch {
	case strings.HasPrefix(place.Host, "/"):
		authority = ""
		params = append(params, "host="+escape(place.Host), "port="+url.QueryEscape(place.Port))
	case strings.Contains(place.Host, ":"):
		authority = "[" + place.Host + "]:" + place.Port
	}
	if off := u.withoutTLS(); off != "" {
		params = append(params, off)
	}
	text := u.head + u.userinfo + authority + u.path
	if len(params) > 0 {
		text += "?" + strings.Join(params, "&")
	}
	return text
}

// ToUpstream returns the URL without the parameters that the client keeps. It is all that pgorigin has to
// know, and has the password.
func (u *URL) ToUpstream() string {
	var params []string
	for _, p := range u.params {
		if p.ofTransport() || slices.ContainsFunc(ofLogin(), p.is) {
			params = append(params, p.text)
		}
	}
	text := u.head + u.userinfo + u.authority + u.path
	if len(params) > 0 {
		text += "?" + strings.Join(params, "&")
	}
	return text
}

// ofLogin are parameters that both the client and pgorigin have to know.
func ofLogin() []string {
	return []string{"user", "password", "dbname", "service", "servicefile", "channel_binding", "require_auth"}
}

// ofTransport reports whether a parameter is about the way to the server, which is now the way to pgorigin.
// What else begins with ssl is about TLS in every driver.
func (p parameter) ofTransport() bool {
	switch name := plain(p.name); name {
	case "host", "port", "hostaddr", "requirepeer", "gssencmode", "directtls":
		return true
	case "channelbinding": // the other values do not insist on TLS
		return p.value == "require"
	default:
		return strings.HasPrefix(name, "ssl")
	}
}

// withoutTLS is the parameter that turns TLS off in the drivers of the scheme.
func (u *URL) withoutTLS() string {
	switch {
	case u.driver() == "pg8000": // has no parameter for it, and no TLS without being told
		return ""
	case u.driver() == "asyncpg":
		return "ssl=disable"
	case u.scheme == "ecto":
		return "ssl=false"
	}
	return "sslmode=disable"
}

// escape returns text as the value of a parameter. A slash needs no escape there.
func escape(text string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(text))
}
