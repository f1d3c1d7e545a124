package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// maxPasswordFile is far above what a password can be, and keeps a mistaken path from filling the memory.
const maxPasswordFile = 64 << 10

// channelBinding is what becomes of SCRAM-SHA-256-PLUS.
type channelBinding pgwire.ChannelBinding

// Decode reads strip, pass or bridge.
func (c *channelBinding) Decode(value string) error {
	word, err := oneOf(value, "strip", "pass", "bridge")
	switch word {
	case "strip":
		*c = channelBinding(pgwire.StripChannelBinding)
	case "pass":
		*c = channelBinding(pgwire.PassChannelBinding)
	case "bridge":
		*c = channelBinding(pgwire.BridgeChannelBinding)
	}
	return err
}

func (c channelBinding) String() string {
	switch pgwire.ChannelBinding(c) {
	case pgwire.PassChannelBinding:
		return "pass"
	case pgwire.BridgeChannelBinding:
		return "bridge"
	case pgwire.StripChannelBinding:
	}
	return "strip"
}

// requiredAuth are the methods that the upstream may ask for.
type requiredAuth pgwire.AuthMethods

// Decode reads a list as libpq's require_auth.
func (a *requiredAuth) Decode(value string) error {
	methods, err := pgwire.ParseAuthMethods(value)
	if err != nil {
		return fmt.Errorf("expected methods such as scram-sha-256, or exclusions such as !password,!md5: %w", err)
	}
	*a = requiredAuth(methods)
	return nil
}

func (a requiredAuth) String() string { return pgwire.AuthMethods(a).String() }

// AuthMethods are the methods that the upstream may ask for; zero is any.
func (o *Origin) AuthMethods() pgwire.AuthMethods {
	return pgwire.ChannelBinding(o.Auth.ChannelBinding).Methods(pgwire.AuthMethods(o.Auth.Require))
}

// checkAuth finds contradictions, and a password file that cannot be used.
func (o *Origin) checkAuth() []Problem {
	bridge := pgwire.ChannelBinding(o.Auth.ChannelBinding) == pgwire.BridgeChannelBinding
	if pgwire.AuthMethods(o.Auth.Require).RequiresBinding() && !bridge {
		return []Problem{{
			Variable: Prefix + "AUTH_REQUIRE", Value: o.Auth.Require.String(),
			Text: "only a bridge can bind a login to the TLS channel; set " + Prefix +
				"AUTH_CHANNEL_BINDING=bridge, or scram-sha-256 here",
		}}
	}
	if o.AuthMethods().String() == "" && o.Auth.Require != 0 {
		return []Problem{{
			Variable: Prefix + "AUTH_REQUIRE", Value: o.Auth.Require.String(),
			Text: "it leaves a bridge no method; remove !scram-sha-256, or list the methods that the bridge may answer",
		}}
	}
	file := o.Auth.Password.File
	if file == "" {
		return nil
	}
	p := Problem{Variable: Prefix + "AUTH_PASSWORD_FILE", Value: file}
	if !bridge {
		p.Text = "only a bridge logs in itself; set " + Prefix + "AUTH_CHANNEL_BINDING=bridge, or leave this out and let clients give their password"
		return []Problem{p}
	}
	if _, err := new(passwordFile).read(file); err != nil {
		p.Text = err.Error() + "; expected a readable file with the password alone"
		return []Problem{p}
	}
	return nil
}

// Password returns the source of the bridge's password for pgwire, nil if clients are asked. The file is read for each
// login, so that a changed one counts at once.
func (o *Origin) Password() func() (string, error) {
	file := o.Auth.Password.File
	if file == "" {
		return nil
	}
	reader := new(passwordFile)
	return func() (string, error) { return reader.read(file) }
}

// passwordFile reads a password file. Logins that overlap share one reading, and fail with it when the file
// is on a mount that does not answer.
type passwordFile struct {
	reader configfile.Reader[passwordReading]
}

type passwordReading struct {
	password string
	err      error
}

func (f *passwordFile) read(path string) (string, error) {
	got, err := f.reader.Do(context.Background(), func() (got passwordReading) {
		got.password, got.err = ReadPassword(path)
		return got
	})
	if err = errors.Join(err, got.err); err != nil {
		return "", fmt.Errorf("the password file %w", err)
	}
	return got.password, nil
}

// ReadPassword returns the content of a file without the line end that editors add.
func ReadPassword(path string) (string, error) {
	data, _, err := configfile.Read(path, maxPasswordFile)
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(password, "\x00\n"):
		return "", errors.New("holds more than a password")
	}
	return password, nil
}
