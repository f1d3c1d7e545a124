package config

import (
	"slices"
	"strings"
	"testing"
)

// TestListenTLS: a file that nothing uses would be a certificate that somebody believes in.
func TestListenTLS(t *testing.T) {
	const cert, key, ca = "PGORIGIN_LISTEN_TLS_CERT_FILE=/c", "PGORIGIN_LISTEN_TLS_KEY_FILE=/k", "PGORIGIN_LISTEN_TLS_CA_FILE=/ca"
	for _, row := range []struct {
		settings string
		want     []string // of each problem
	}{
		{"", nil},
		{"PGORIGIN_LISTEN_TLS=self-signed", nil},
		{"PGORIGIN_LISTEN_TLS=self-signed " + ca, nil},
		{"PGORIGIN_LISTEN_TLS=files " + cert + " " + key, nil},
		{"PGORIGIN_LISTEN_TLS=files " + cert, []string{"LISTEN_TLS_KEY_FILE: not set: PGORIGIN_LISTEN_TLS=files needs"}},
		{"PGORIGIN_LISTEN_TLS=files", []string{"LISTEN_TLS_CERT_FILE: not set", "LISTEN_TLS_KEY_FILE: not set"}},
		{"PGORIGIN_LISTEN_TLS=files " + cert + " " + key + " " + ca, []string{"only PGORIGIN_LISTEN_TLS=self-signed uses it"}},
		{"PGORIGIN_LISTEN_TLS=self-signed " + cert, []string{"only PGORIGIN_LISTEN_TLS=files uses it"}},
		{cert + " " + key, []string{"only PGORIGIN_LISTEN_TLS=files", "only PGORIGIN_LISTEN_TLS=files"}},
		{ca, []string{"only PGORIGIN_LISTEN_TLS=self-signed"}},
		{"PGORIGIN_LISTEN_TLS=nonsense " + cert, []string{"expected off, self-signed or files"}},
		{"PGORIGIN_LISTEN_TLS=self-signed " + ca + " PGORIGIN_ORIGINS=x PGORIGIN_X_UPSTREAM_ADDR=x " +
			"PGORIGIN_X_LISTEN_ADDR=127.0.0.1:7000 PGORIGIN_X_LISTEN_TLS=off", nil},
	} {
		_, _, problems := Load(append([]string{upstreamSetting}, strings.Fields(row.settings)...))
		ok := len(problems) == len(row.want)
		for i := range problems {
			ok = ok && strings.Contains(problems[i].String(), row.want[i])
		}
		if !ok {
			t.Errorf("%s: %v, want %q", row.settings, problems, row.want)
		}
	}
}

func TestListenerNames(t *testing.T) {
	s, _, problems := Load([]string{
		"PGORIGIN_UPSTREAM_ADDR=DB.prod.example.com.:5432,192.0.2.1", "PGORIGIN_TLS_SERVER_NAME=other.example.com",
		"PGORIGIN_LISTEN_ADDR=0.0.0.0:5432,unix:/run/x,127.0.0.2:5433", "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true",
	})
	want := []string{"localhost", "127.0.0.1", "::1", "127.0.0.2", "db.prod.example.com", "192.0.2.1", "other.example.com"}
	if got := s.ListenerNames(); len(problems) > 0 || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, problems)
	}
}
