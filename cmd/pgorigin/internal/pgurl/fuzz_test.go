package pgurl

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzURL parses anything, and a URL with a user and a password that are known.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"postgres://u:p@h:1/d?sslmode=require", "postgres://[::1]:1,b/?host=a&hostaddr=1.1.1.1", "jdbc:postgresql:d",
		"ecto://h?ssl=true", "postgresql+asyncpg://?host=a:1&host=b:2", "postgres://u:p%@h", "postgres:///d?x&=y",
		"h:1/d?a=b", "%2Frun/d?options=-c%20a=b",
	} {
		f.Add(seed, "us/er", "p@ss:w/o?rd&x=y")
	}
	f.Fuzz(func(t *testing.T, text, user, password string) {
		follow(t, text)
		user, password = strings.ReplaceAll(user, "\x00", ""), strings.ReplaceAll(password, "\x00", "")
		separator := "?"
		if strings.Contains(text, "?") {
			separator = "&"
		}
		userinfo := url.UserPassword("s3cret"+user, "s3cret"+password).String()
		for _, full := range []string{
			"postgres://" + userinfo + "@" + text,
			"jdbc:postgresql://" + text + separator + "user=" + url.QueryEscape("s3cret"+user) + "&password=" + url.QueryEscape("s3cret"+password),
		} {
			u, err := Parse(full)
			switch {
			case strings.Contains(text, "s3cret"):
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Fatalf("%q: %v", full, err)
			case err == nil && strings.Contains(u.Redacted(), "s3cret"):
				t.Fatalf("%q: %s", full, u.Redacted())
			}
			follow(t, full)
		}
	})
}

// follow checks the URLs that lead to places instead.
func follow(t *testing.T, text string) {
	t.Helper()
	u, err := Parse(text)
	if err != nil {
		return
	}
	if strings.ContainsFunc(u.Redacted(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Fatalf("%q: %q", text, u.Redacted())
	}
	if v, err := Parse(u.Redacted()); err != nil || v.Redacted() != u.Redacted() {
		t.Fatalf("%q: %q, then %v, %v", text, u.Redacted(), v, err)
	}
	for _, place := range []Place{
		{Host: "127.0.0.1", Port: "6432"}, {Host: "::1", Port: "1"}, {Host: "/run/my app", Port: "2"},
	} {
		led := u.LeadingTo(place)
		v, err := Parse(led)
		if err != nil {
			t.Fatalf("%q: %q: %v", text, led, err)
		}
		want := []Address{{Host: place.Host, Port: place.Port}}
		if !slices.Equal(v.Addresses(), want) {
			t.Fatalf("%q: %q leads to %v", text, led, v.Addresses())
		}
		if v.User() != u.User() || v.Password() != u.Password() || v.Database() != u.Database() {
			t.Fatalf("%q: %q is for %q, %q, %q", text, led, v.User(), v.Password(), v.Database())
		}
		if !slices.Equal(kept(v), kept(u)) || v.LeadingTo(place) != led {
			t.Fatalf("%q: %q, then %q", text, led, v.LeadingTo(place))
		}
	}
}

// kept returns the parameters that are not about the way to the server, as written.
func kept(u *URL) []string {
	var texts []string
	for _, p := range u.params {
		if !p.ofTransport() {
			texts = append(texts, p.text)
		}
	}
	return texts
}
