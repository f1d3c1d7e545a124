package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire"
)

func TestAuthSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	upstream := "PGORIGIN_UPSTREAM_ADDR=db:5432"
	s, _, problems := Load([]string{
		upstream, "PGORIGIN_AUTH_CHANNEL_BINDING=Bridge",
		"PGORIGIN_AUTH_REQUIRE=scram-sha-256,md5", "PGORIGIN_AUTH_PASSWORD_FILE=" + file,
		"PGORIGIN_LISTEN_ADDR=0.0.0.0:6432", "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true", // nobody is asked
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if s.ChannelBinding() != pgwire.BridgeChannelBinding || s.AuthMethods().String() != "md5,scram-sha-256" {
		t.Errorf("read %v and %v", s.Auth.ChannelBinding, s.Auth.Require)
	}
	if got, err := s.Password()(); err != nil || got != "s3cret" {
		t.Errorf("password %q (%v)", got, err)
	}
	if err := os.WriteFile(file, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Password()(); err != nil || got != "changed" {
		t.Errorf("password after a change %q (%v)", got, err)
	}

	s, _, _ = Load([]string{upstream})
	if s.Password() != nil || s.ChannelBinding() != pgwire.StripChannelBinding || s.Auth.Require != 0 {
		t.Errorf("defaults are %v", s.Auth)
	}
}

func TestBadAuthSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bridge := "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"unknown mode":            {[]string{"PGORIGIN_AUTH_CHANNEL_BINDING=stripe"}, "did you mean strip?"},
		"unknown method":          {[]string{"PGORIGIN_AUTH_REQUIRE=scram"}, `"scram" is not an authentication method`},
		"binding by strip":        {[]string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256-plus"}, "set PGORIGIN_AUTH_CHANNEL_BINDING=bridge"},
		"binding by pass":         {[]string{"PGORIGIN_AUTH_CHANNEL_BINDING=pass", "PGORIGIN_AUTH_REQUIRE=md5,scram-sha-256-plus"}, "set PGORIGIN_AUTH_CHANNEL_BINDING=bridge"},
		"nothing for a bridge":    {[]string{bridge, "PGORIGIN_AUTH_REQUIRE=!scram-sha-256"}, "leaves a bridge no method"},
		"bridge for a network":    {[]string{bridge, "PGORIGIN_LISTEN_ADDR=127.0.0.1:6432,0.0.0.0:6433", "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true"}, `LISTEN_ADDR: saw "0.0.0.0:6433": expected a loopback address, because PGORIGIN_AUTH_CHANNEL_BINDING=bridge asks clients`},
		"network, not allowed":    {[]string{bridge, "PGORIGIN_LISTEN_ADDR=0.0.0.0:6433"}, "this leg is plaintext"},
		"password without bridge": {[]string{"PGORIGIN_AUTH_PASSWORD_FILE=" + write("p", "x")}, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"},
		"missing file":            {[]string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + filepath.Join(dir, "no")}, "no such file"},
		"empty file":              {[]string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + write("e", "\n")}, "is empty"},
		"more than a password":    {[]string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + write("m", "a\nsecret-b\n")}, "more than a password"},
	} {
		_, _, problems := Load(append(tt.env, "PGORIGIN_UPSTREAM_ADDR=db:5432"))
		if len(problems) != 1 || !strings.Contains(problems[0].String(), tt.want) || strings.Contains(problems[0].String(), "secret-b") {
			t.Errorf("%s: %v, want one problem with %q", name, problems, tt.want)
		}
	}
}
