package pgurl

import (
	"fmt"
	"strings"
	"testing"
)

// TestParse shows each URL as user:password at addresses, a bar, and the database.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://db.test":                           ": at db.test::5432|",
		"postgresql://db.test:6432/":                   ": at db.test::6432|",
		"postgres://u:p@db.test/app":                   "u:p at db.test::5432|app",
		"POSTGRES://db.test/app\n":                     ": at db.test::5432|app",
		"postgres://u%40x:p%2F%3A%40%25@db.test/a%20b": "u@x:p/:@% at db.test::5432|a b",
		"postgres://u:p:q@db.test":                     "u:p:q at db.test::5432|",
		"postgres://u:p@q@db.test":                     "u:p@q at db.test::5432|", // Node takes it
		"postgres://:p@db.test":                        ":p at db.test::5432|",
		"postgres://u:@db.test":                        "u: at db.test::5432|",
		"postgres://[::1]:1/app":                       ": at ::1::1|app",
		"postgres://[fe80::1%25eth0]/app":              ": at fe80::1%eth0::5432|app",
		"postgres://[::1],b:2,c/":                      ": at ::1::5432 b::2 c::5432|",
		"postgres://a,b/?port=7":                       ": at a::7 b::7|",
		"postgres://?host=a,b&port=1,2":                ": at a::1 b::2|",
		"postgres://h?host=i&host=j":                   ": at j::5432|",
		"postgres://h:1?port=2":                        ": at h::2|",
		"postgres://h/?hostaddr=::1":                   ": at h:::1:5432|",
		"postgres://?hostaddr=10.0.0.1":                ": at :10.0.0.1:5432|",
		"postgres://u@h/a?user=v&password=p&dbname=b":  "v:p at h::5432|b",
		"postgres://h/?us%65r=v":                       "v: at h::5432|",
		"postgres://h/?user=a@b":                       "a@b: at h::5432|",
		"postgres:///app":                              ": at ::5432|app",
		"postgres://%2Fvar%2Frun/app":                  ": at /var/run::5432|app",
		"postgres://u@/app?host=/var/run&port=6432":    "u: at /var/run::6432|app",
		"postgres://h/a/b":                             ": at h::5432|a/b",
		"postgres://h/a#b?x=y=z&&w":                    ": at h::5432|a#b",

		"postgis://u:p@h/app":                           "u:p at h::5432|app",
		"ecto://u:p@h/app?ssl=true":                     "u:p at h::5432|app",
		"postgresql+asyncpg://u:p@h/app":                "u:p at h::5432|app",
		"postgresql+psycopg2://u@/a?host=a:1&host=b":    "u: at a::1 b::5432|a",
		"jdbc:postgresql://h:1,i/app?user=u&password=p": "u:p at h::1 i::5432|app",
		"jdbc:postgresql:app":                           ": at localhost::5432|app",
		"jdbc:postgresql:/?user=u":                      "u: at localhost::5432|",
	} {
		u, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := shown(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func shown(u *URL) string {
	var at []string
	for _, a := range u.Addresses() {
		at = append(at, a.Host+":"+a.IP+":"+a.Port)
	}
	return fmt.Sprintf("%s:%s at %s|%s", u.User(), u.Password(), strings.Join(at, " "), u.Database())
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "expected a URL such as postgres://",
		"host=db user=u password=s3cret":  "keyword=value strings are not supported",
		"db.test:5432":                    "expected a URL such as postgres://",
		"mysql://u:s3cret@db.test":        "postgres://, not with mysql://",
		"u:s3cret@db://x":                 "expected a URL that begins with postgres://",
		"jdbc:mysql://u:s3cret@db":        "expected a URL that begins with postgres://",
		"JDBC:postgresql://db":            "expected a URL that begins with postgres://",
		"postgres://u:s3cret%@h":          "the password has a % without two hexadecimal digits",
		"postgres://u:s3cret%zz@h":        "the password has a % without two hexadecimal digits",
		"postgres://u:s3cret%+1@h":        "the password has a % without two hexadecimal digits",
		"postgres://u:s3cret%00@h":        "the password has a %00",
		"postgres://s3cret%@h":            "the user has a %",
		"postgres://h%/s3cret":            "the host has a %",
		"postgres://h/d%":                 "the name of the database has a %",
		"postgres://h/?sslcert=%2":        "the parameter sslcert has a %",
		"postgres://h/?s3cret/=%2":        "a parameter has a %",
		"postgres://h/?%=%2":              "the name of a parameter has a %",
		"postgres://u:s3c/ret@h/d":        "a / before its @; write %2F",
		"postgres://u:1/s3cret@h/d":       "a / before its @; write %2F",
		"postgres://u:1/d?s3cret@h/d":     "a / before its @; write %2F",
		"postgres://u:s3cr?et@h/d":        "a ? before its @; write %3F",
		"postgres://h?user=a@b":           "a ? before its @",
		"postgres://u:s3cret":             "no number from 1 to 65535",
		"postgres://h:0":                  "no number from 1 to 65535",
		"postgres://h:65536":              "no number from 1 to 65535",
		"postgres://h:-1":                 "no number from 1 to 65535",
		"postgres://::1/d":                "no number from 1 to 65535",
		"postgres://[]/d":                 "expected an IPv6 address",
		"postgres://[::1/d":               "expected an IPv6 address",
		"postgres://[::1]x/d":             "only :port may follow the bracket",
		"postgres://a,b?port=1,2,3":       "2 hosts, 2 values of hostaddr and 3 ports",
		"postgres://a,b?hostaddr=1.1.1.1": "2 hosts, 1 values of hostaddr",
	} {
		u, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%q: %v, %v, want %q", text, u, err, want)
		}
	}
}

func TestRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://s3cret:s3cret@h:1/d?sslmode=require&application_name=a": "postgres://***@h:1/d?sslmode=require&application_name=a",
		"postgres://h/d?user=s3cret&password=s3cret&sslpassword=s3cret":     "postgres://h/d?user=***&password=***&sslpassword=***",
		"postgres://h?x=s3cret&s3cret!&y":                                   "postgres://h?x=***&***&y",
		"postgres://h/?options=-c%20my.key=s3cret":                          "postgres://h/?options=***",
		"postgres://%2Fvar%2Frun,[::1]:2/d%0Ab":                             "postgres://%2Fvar%2Frun,[::1]:2/d%0Ab",
		"postgres://h/d\x1b[31m?sslrootcert=/ca b\u202e":                    "postgres://h/d%1B[31m?sslrootcert=/ca%20b%E2%80%AE",
		"jdbc:postgresql://h/d?user=s3cret&channelBinding=require":          "jdbc:postgresql://h/d?user=***&channelBinding=require",
	} {
		u, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, got := range []string{u.Redacted(), fmt.Sprint(u), fmt.Sprintf("%+v %#v", u, u)[:len(want)]} {
			if got != want {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
		}
	}
}
