package pgurl

import (
	"slices"
	"strings"
)

// URL is a connection URL. Its parts are decoded, unless a comment says otherwise.
type URL struct {
	scheme    string // in lower case, such as postgresql+asyncpg
	head      string // as written, up to where userinfo or a host begins
	userinfo  string // as written, with the @; may be empty
	authority string // as written, without userinfo; may be empty
	path      string // as written, with the /; may be empty
	params    []parameter

	user, password, database string
	addresses                []Address
}

// parameter is one of those that follow the question mark.
type parameter struct {
	text        string // as written
	name, value string
}

// Address is where a URL leads.
type Address struct {
	Host string // a name or an IP address; a folder with Unix sockets if it begins with / or @
	IP   string // of hostaddr: the address to connect to, instead of a look-up of Host
	Port string // a number; never empty
}

// IsSocket reports whether the address is a Unix socket. An address without a host is one for libpq.
func (a Address) IsSocket() bool {
	return a.IP == "" && (a.Host == "" || strings.HasPrefix(a.Host, "/") || strings.HasPrefix(a.Host, "@"))
}

// Addresses returns where the URL leads. There is at least one. That of a URL without a host has no Host.
func (u *URL) Addresses() []Address { return slices.Clone(u.addresses) }

// User returns the user. It may be empty.
func (u *URL) User() string { return u.user }

// Password returns the password. It may be empty.
func (u *URL) Password() string { return u.password }

// Database returns the name of the database. It may be empty.
func (u *URL) Database() string { return u.database }

// Parameter returns the value of a parameter. Of several with that name, the last one holds, as in libpq.
// The case of the name does not matter, because drivers have channel_binding and channelBinding.
func (u *URL) Parameter(name string) string {
	value := ""
	for _, p := range u.params {
		if p.is(name) {
			value = p.value
		}
	}
	return value
}

// Names returns the names of the parameters that have a value and are none of except, each once, as written. A name
// that no driver would have is hidden.
func (u *URL) Names(except ...string) []string {
	var names []string
	for _, p := range u.params {
		name := p.name
		if !namePattern.MatchString(name) {
			name = hidden
		}
		if p.value != "" && !slices.ContainsFunc(except, p.is) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// is reports whether the parameter has that name in the spelling of one of the drivers.
func (p parameter) is(name string) bool { return plain(p.name) == plain(name) }

// plain returns a name without case and underscores.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// driver returns the driver that the scheme names, or "".
func (u *URL) driver() string {
	_, driver, _ := strings.Cut(u.scheme, "+")
	return driver
}

// UsesSockets reports whether every driver of the scheme can read a URL that leads to a Unix socket. Nobody
// knows which driver reads a postgres:// URL, and those of some languages cannot.
func (u *URL) UsesSockets() bool {
	switch u.driver() {
	case "asyncpg", "psycopg", "psycopg_async", "psycopg2":
		return true
	}
	return u.scheme == "postgis" // of Django, which has psycopg
}
