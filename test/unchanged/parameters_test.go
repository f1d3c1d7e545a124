//go:build unchanged

package unchanged

import (
	"strings"
	"testing"
)

// TestParameters is about what else a URL of libpq may say about TLS and logins.
func TestParameters(t *testing.T) {
	ctx := testContext(t)
	var libpq driver
	for _, d := range shared.drivers() {
		if d.name == "libpq 18" {
			libpq = d
		}
	}
	p := shared.pods[netStrip]
	variables, err := p.inject(ctx, "pgorigin/channel-binding: bridge", ownCA)
	if err != nil {
		t.Fatal(err)
	}
	startOrigin(ctx, t, p, variables)
	exec := []string{shared.binary, "exec", "--"}
	for _, c := range []struct {
		name, parameters string
		intercepted      string // what the driver says in the pod; "works" if empty
		wrapped          string // what it says under exec; "works" if empty
	}{
		{name: "direct TLS", parameters: "sslmode=require&sslnegotiation=direct"},
		{name: "verify-ca", parameters: "sslmode=verify-ca"},
		{name: "GSS", parameters: "sslmode=require&gssencmode=prefer"},
		{name: "TLS 1.3", parameters: "sslmode=require&ssl_min_protocol_version=TLSv1.3"},
		{name: "only a password", parameters: "sslmode=require&require_auth=scram-sha-256", intercepted: "scram-sha-256"},
		{name: "channel binding", parameters: "sslmode=require&channel_binding=require", intercepted: "channel binding"},
		{name: "of the session", parameters: "application_name=a%20b&sslmode=require&options=-c%20statement_timeout%3D60s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := libpqURL("", "")
			text = text[:strings.Index(text, "?")+1] + c.parameters + "&sslrootcert="
			said, err := libpq.run(ctx, p, nil, nil, text+p.caFile())
			judge(t, "intercepted", said, err, c.intercepted)
			said, err = libpq.run(ctx, shared.pods[netPlain], exec, []string{"DATABASE_URL=" + text + shared.lab.CAFile})
			judge(t, "under exec", said, err, c.wrapped)
		})
	}
}

func judge(t *testing.T, way string, said []string, err error, want string) {
	t.Helper()
	switch {
	case err != nil:
		t.Errorf("%s: %v", way, err)
	case want == "" && said[0] != works, !strings.Contains(said[0], want):
		t.Errorf("%s: %s", way, said[0])
	case want != "":
		t.Logf("%s: %s", way, said[0])
	}
}
