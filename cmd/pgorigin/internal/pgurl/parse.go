package pgurl

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultPort is the port of a URL without one.
const defaultPort = "5432"

// jdbc begins a URL of JDBC, which knows no capitals there.
const jdbc = "jdbc:postgresql:"

// example is for errors.
const example = "postgres://user@host:5432/db"

var (
	schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+._-]{0,31}$`)
	namePattern   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,62}$`)
)

// Parse reads a URL as libpq does. Where other drivers read it otherwise, Parse takes what works in one of
// them, and refuses what would lead elsewhere. White space around the URL does not count.
func Parse(text string) (*URL, error) {
	u := new(URL)
	rest, err := u.cutScheme(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	rest, err = u.cutUserinfo(rest)
	if err != nil {
		return nil, err
	}
	rest, query, _ := strings.Cut(rest, "?")
	u.authority = rest
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		u.authority, u.path = rest[:slash], rest[slash:]
	}
	hosts, ports, err := cutHosts(u.authority)
	if err != nil {
		return nil, err
	}
	if err := u.readUserinfo(); err != nil {
		return nil, err
	}
	if u.database, err = decode(strings.TrimPrefix(u.path, "/"), "the name of the database"); err != nil {
		return nil, err
	}
	if err := u.readParameters(query); err != nil {
		return nil, err
	}
	if u.userinfo == "" && u.misplacedAt() {
		return nil, errors.New("the URL has a / before its @; write %2F for a / in the user or the password, and %40 " +
			"for an @ elsewhere")
	}
	u.user = cmp.Or(u.Parameter("user"), u.user)
	u.password = cmp.Or(u.Parameter("password"), u.password)
	u.database = cmp.Or(u.Parameter("dbname"), u.database)
	return u, u.readAddresses(hosts, ports)
}

// cutScheme reads the scheme and returns what follows it.
func (u *URL) cutScheme(text string) (rest string, err error) {
	if rest, ok := strings.CutPrefix(text, jdbc); ok {
		u.scheme, u.head = "jdbc", jdbc
		if after, ok := strings.CutPrefix(rest, "//"); ok {
			u.head += "//"
			return after, nil
		}
		u.head += "//" // jdbc:postgresql:app is short for a database of this machine
		return "localhost/" + strings.TrimPrefix(rest, "/"), nil
	}
	scheme, rest, isURL := strings.Cut(text, "://")
	u.scheme, u.head = strings.ToLower(scheme), scheme+"://"
	base, _, _ := strings.Cut(u.scheme, "+")
	switch {
	case !isURL && strings.Contains(text, "="):
		return "", errors.New("expected a URL such as " + example + "; keyword=value strings are not supported")
	case !isURL:
		return "", errors.New("expected a URL such as " + example)
	case !schemePattern.MatchString(scheme):
		return "", errors.New("expected a URL that begins with postgres://")
	case !slices.Contains([]string{"postgres", "postgresql", "postgis", "ecto"}, base):
		return "", fmt.Errorf("expected a URL that begins with postgres://, not with %s://", scheme)
	}
	return rest, nil
}

// cutUserinfo takes user and password off. The last @ counts: a host has none, so a driver that takes an
// earlier one cannot connect. libpq goes on to a @ behind a question mark, and other drivers do not.
func (u *URL) cutUserinfo(rest string) (string, error) {
	untilSlash, _, _ := strings.Cut(rest, "/")
	authority, _, _ := strings.Cut(untilSlash, "?")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 && strings.Contains(untilSlash, "@") {
		return "", errors.New("the URL has a ? before its @; write %3F for a ? in the user or the password, and %40 " +
			"for an @ elsewhere")
	}
	u.userinfo = rest[:at+1]
	return rest[at+1:], nil
}

func (u *URL) readUserinfo() (err error) {
	user, password, _ := strings.Cut(strings.TrimSuffix(u.userinfo, "@"), ":")
	if u.user, err = decode(user, "the user"); err != nil {
		return err
	}
	u.password, err = decode(password, "the password")
	return err
}

// misplacedAt reports whether a @ stands where no driver looks for it: a user or a password may have a / in
// front.
func (u *URL) misplacedAt() bool {
	return strings.Contains(u.path, "@") ||
		slices.ContainsFunc(u.params, func(p parameter) bool { return strings.Contains(p.name, "@") })
}

// cutHosts takes an authority without userinfo apart: host, IPv6 address in brackets, port, and commas
// between several. Each list is as in the parameters host and port of libpq, not decoded yet.
func cutHosts(authority string) (hosts, ports string, err error) {
	var hostList, portList []string
	for {
		host, rest := authority, ""
		if inner, ok := strings.CutPrefix(authority, "["); ok {
			end := strings.IndexByte(inner, ']')
			if end <= 0 {
				return "", "", errors.New("the host in the URL begins with a bracket; expected an IPv6 address such as [::1]")
			}
			host, rest = inner[:end], inner[end+1:]
			if rest != "" && rest[0] != ':' && rest[0] != ',' {
				return "", "", errors.New("only :port may follow the bracket of an IPv6 address")
			}
		} else if end := strings.IndexAny(authority, ":,"); end >= 0 {
			host, rest = authority[:end], authority[end:]
		}
		port, more := "", false
		rest, authority, more = strings.Cut(rest, ",")
		port = strings.TrimPrefix(rest, ":")
		hostList, portList = append(hostList, host), append(portList, port)
		if !more {
			return strings.Join(hostList, ","), strings.Join(portList, ","), nil
		}
	}
}

// readParameters reads what follows the question mark. libpq refuses a parameter that it does not know, and
// other drivers have their own, so all are taken.
func (u *URL) readParameters(query string) error {
	for text := range strings.SplitSeq(query, "&") {
		if text == "" {
			continue
		}
		name, value, _ := strings.Cut(text, "=")
		name, err := decode(name, "the name of a parameter")
		if err != nil {
			return err
		}
		of := "a parameter"
		if namePattern.MatchString(name) {
			of = "the parameter " + name
		}
		if value, err = decode(value, of); err != nil {
			return err
		}
		u.params = append(u.params, parameter{text, name, value})
	}
	return nil
}

// readAddresses reads the lists of hosts, addresses and ports.
func (u *URL) readAddresses(hosts, ports string) (err error) {
	if hosts, err = decode(hosts, "the host"); err != nil {
		return err
	}
	if ports, err = decode(ports, "the port"); err != nil {
		return err
	}
	hosts, ports = u.listOf("host", hosts), u.listOf("port", ports)
	names, ips := strings.Split(hosts, ","), strings.Split(u.Parameter("hostaddr"), ",")
	count := len(names)
	if u.Parameter("hostaddr") == "" {
		ips = make([]string, count)
	} else if hosts == "" {
		count = len(ips)
		names = make([]string, count)
	}
	numbers := strings.Split(ports, ",")
	if len(numbers) == 1 {
		numbers = slices.Repeat(numbers, count)
	}
	if len(ips) != count || len(numbers) != count {
		return fmt.Errorf("the URL has %d hosts, %d values of hostaddr and %d ports; expected the same number of each",
			count, len(ips), len(numbers))
	}
	for i, name := range names {
		a := Address{Host: name, IP: ips[i], Port: cmp.Or(strings.TrimSpace(numbers[i]), defaultPort)}
		if host, port, ok := strings.Cut(a.Host, ":"); ok && u.driver() != "" && !strings.Contains(port, ":") {
			a.Host, a.Port = host, port // SQLAlchemy has ?host=a:1&host=b:2
		}
		if n, err := strconv.ParseUint(a.Port, 10, 16); err != nil || n == 0 {
			return errors.New("the port in the URL is no number from 1 to 65535; in a user or a password write %3A for a :, " +
				"%2F for a / and %40 for an @")
		}
		u.addresses = append(u.addresses, a)
	}
	return nil
}

// listOf returns the list of a parameter, or else the list of the authority. With SQLAlchemy, a parameter
// that is repeated is a list, too.
func (u *URL) listOf(name, authority string) string {
	if u.driver() == "" {
		return cmp.Or(u.Parameter(name), authority)
	}
	var list []string
	for _, p := range u.params {
		if p.is(name) && p.value != "" {
			list = append(list, p.value)
		}
	}
	return cmp.Or(strings.Join(list, ","), authority)
}

// decode replaces %-escapes. what names the text in errors, which do not repeat it.
func decode(text, what string) (string, error) {
	var decoded strings.Builder
	if strings.Contains(text, "\x00") {
		return "", fmt.Errorf("%s has a zero byte, which Postgres cannot have", what)
	}
	for {
		before, rest, found := strings.Cut(text, "%")
		decoded.WriteString(before)
		if !found {
			return decoded.String(), nil
		}
		c, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
		if err != nil || len(rest) < 2 {
			return "", fmt.Errorf("%s has a %% without two hexadecimal digits; write %%25 for a %%", what)
		}
		if c == 0 {
			return "", fmt.Errorf("%s has a %%00, which Postgres cannot have", what)
		}
		decoded.WriteByte(byte(c))
		text = rest[2:]
	}
}
