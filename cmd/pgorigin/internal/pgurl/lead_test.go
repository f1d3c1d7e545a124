package pgurl

import "testing"

func TestLeadingTo(t *testing.T) {
	here := Place{Host: "127.0.0.1", Port: "6432"}
	for text, want := range map[string]string{
		"postgres://h":     "postgres://127.0.0.1:6432?sslmode=disable",
		"postgres://h/app": "postgres://127.0.0.1:6432/app?sslmode=disable",
		"postgres://u%40:p%2f@h:1/a%62?sslmode=require&sslrootcert=/ca&application_name=a%20b&x":  "postgres://u%40:p%2f@127.0.0.1:6432/a%62?application_name=a%20b&x&sslmode=disable",
		"postgresql://u@/app?host=a,b&port=1,2&hostaddr=::1,::2&options=-c%20a=b&connect_timeout": "postgresql://u@127.0.0.1:6432/app?options=-c%20a=b&connect_timeout&sslmode=disable",
		"postgres://h/?ssl%6dode=require&SSL=true&ssl_min_protocol_version=TLSv1.3&sslsni=1":      "postgres://127.0.0.1:6432/?sslmode=disable",
		"postgres://h/?gssencmode=require&requirepeer=x&sslnegotiation=direct":                    "postgres://127.0.0.1:6432/?sslmode=disable",
		"postgres://h/?channel_binding=require&require_auth=scram-sha-256":                        "postgres://127.0.0.1:6432/?require_auth=scram-sha-256&sslmode=disable",
		"postgres://h/?channel_binding=disable&target_session_attrs=read-write":                   "postgres://127.0.0.1:6432/?channel_binding=disable&target_session_attrs=read-write&sslmode=disable",

		"postgis://u@h/app?sslmode=require":            "postgis://u@127.0.0.1:6432/app?sslmode=disable",
		"postgresql+psycopg://u@h/app?sslmode=require": "postgresql+psycopg://u@127.0.0.1:6432/app?sslmode=disable",
		"postgresql+asyncpg://u@h/app?ssl=require":     "postgresql+asyncpg://u@127.0.0.1:6432/app?ssl=disable",
		"postgresql+asyncpg://u@h/app?direct_tls=true": "postgresql+asyncpg://u@127.0.0.1:6432/app?ssl=disable",
		"postgresql+pg8000://u@h/app":                  "postgresql+pg8000://u@127.0.0.1:6432/app",
		"ecto://u:p@h/app?ssl=true&pool_size=10":       "ecto://u:p@127.0.0.1:6432/app?pool_size=10&ssl=false",
		"jdbc:postgresql://h:1,i/app?user=u&sslMode=require&gssEncMode=require&channelBinding=require&targetServerType=primary": "jdbc:postgresql://127.0.0.1:6432/app?user=u&targetServerType=primary&sslmode=disable",
		"jdbc:postgresql:app?user=u": "jdbc:postgresql://127.0.0.1:6432/app?user=u&sslmode=disable",
	} {
		leads(t, text, here, want)
	}
	leads(t, "postgres://h/a?require_auth=scram-sha-256", Place{Host: "::1", Port: "1", Bridge: true},
		"postgres://[::1]:1/a?sslmode=disable")
	leads(t, "postgres://u:p@h/a?x=y", Place{Host: "/run/my app", Port: "6432"},
		"postgres://u:p@/a?x=y&host=/run/my%20app&port=6432&sslmode=disable")
}

func TestToUpstream(t *testing.T) {
	const text = "postgres://u:p@h:1/d?application_name=a&sslmode=require&sslr%6fotcert=/c&x&require_auth=md5&pool_size=3"
	const want = "postgres://u:p@h:1/d?sslmode=require&sslr%6fotcert=/c&require_auth=md5"
	u, err := Parse(text)
	if err != nil || u.ToUpstream() != want {
		t.Errorf("%q, %v, want %q", u.ToUpstream(), err, want)
	}
}

func leads(t *testing.T, text string, place Place, want string) {
	t.Helper()
	u, err := Parse(text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if got := u.LeadingTo(place); got != want {
		t.Errorf("%s:\n%s, want\n%s", text, got, want)
	}
}

func TestSchemesThatUseSockets(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://h": false, "postgresql://h": false, "jdbc:postgresql://h/": false, "ecto://h": false,
		"postgresql+pg8000://h": false, "postgresql+psycopg2://h": true, "postgresql+psycopg://h": true,
		"postgresql+asyncpg://h": true, "postgis://h": true,
	} {
		if u, err := Parse(text); err != nil || u.UsesSockets() != want {
			t.Errorf("%s: %v, %v", text, !want, err)
		}
	}
}
