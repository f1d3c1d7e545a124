package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// scramSecret is what PostgreSQL and pgbouncer store of a password.
func scramSecret(t *testing.T, password string, iterations int) string {
	t.Helper()
	salt := []byte("sixteen bytes...")
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(name))
		return mac.Sum(nil)
	}
	stored, text := sha256.Sum256(key("Client Key")), base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, text(salt), text(stored[:]), text(key("Server Key")))
}

// createRole makes an account of shared.postgres; password may be a secret as the server stores it.
func createRole(ctx context.Context, t *testing.T, name, password string) {
	t.Helper()
	sql := "CREATE ROLE " + name + " LOGIN PASSWORD '" + strings.ReplaceAll(password, "'", "''") + "'"
	if _, err := shared.postgres.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := shared.postgres.Exec(context.WithoutCancel(ctx), "DROP ROLE "+name); err != nil {
			t.Error(err)
		}
	})
}

// TestSaltsOfServers: a salted password can be remembered only if its salt comes again. PostgreSQL stores the salt, and so
// does a pgbouncer that has SCRAM secrets in its auth_file; of a cleartext password it salts every login anew.
func TestSaltsOfServers(t *testing.T) {
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{
		Users: map[string]string{"stored": scramSecret(t, servers.Password, 4096)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bouncer.Stop()
	for _, row := range []struct {
		name, addr, user string
		again            bool
	}{
		{"PostgreSQL", shared.postgres.Addr, servers.User, true},
		{"pgbouncer, secret", bouncer.Addr, "stored", true},
		{"pgbouncer, cleartext", bouncer.Addr, servers.User, false},
	} {
		first, second := offeredSalt(t, row.addr, row.user), offeredSalt(t, row.addr, row.user)
		if (first == second) != row.again {
			t.Errorf("%s: offered %q, then %q", row.name, first, second)
		}
	}
}

// offeredSalt begins a login and returns salt and iterations of the server's first message.
func offeredSalt(t *testing.T, addr, user string) string {
	t.Helper()
	conn, err := newDialer(t, addr, func(c *tlsorigin.Config) { c.ServerName = servers.ServerName }).Dial(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	peer := pgtest.NewPeer(t, conn)
	defer conn.Close()
	peer.Send(pgtest.Startup("user", user, "database", servers.Database))
	peer.ReadMessage()
	const first = "n,,n=,r=nonce"
	body := binary.BigEndian.AppendUint32([]byte("SCRAM-SHA-256\x00"), uint32(len(first)))
	peer.Send(pgtest.Message('p', string(body)+first))
	kind, answer := peer.ReadMessage()
	_, salt, found := strings.Cut(string(answer), ",s=")
	if kind != 'R' || !found {
		t.Fatalf("%s answered %q %q", addr, kind, answer)
	}
	return salt
}

// TestBridgePreparesPasswords as real servers have prepared them.
func TestBridgePreparesPasswords(t *testing.T) {
	ctx := testContext(t)
	users := map[string]string{
		"prep_hyphen":    "I\u00ad\u1806X",
		"prep_width":     "\u2168\uff21",
		"prep_space":     "pass\u00a0word",
		"prep_zero":      "pass\u200bword",
		"prep_composed":  "a\u0308\u0323\u1100\u1161\u11a8",
		"prep_nothing":   "\u00ad",
		"prep_control":   "\u00aa\u0007",
		"prep_new":       "\u00aa\U0001f600",
		"prep_mixed":     "\u00aa\u05d0",
		"prep_right":     "\u05d0\ufb2a1\u05d0",
		"prep_late":      "a\u2136",
		"prep_presented": "\ufc5e",
	}
	for user, password := range users {
		createRole(ctx, t, user, password)
	}
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Users: users})
	if err != nil {
		t.Fatal(err)
	}
	defer bouncer.Stop()
	for name, upstream := range map[string]string{"PostgreSQL": shared.postgres.Addr, "pgbouncer": bouncer.Addr} {
		origin := startOrigin(t, upstream, bridgeMode)
		for user, password := range users {
			conn := connect(ctx, t, origin.Addr, "user="+user, "password='"+password+"'")
			if got := ask[string](ctx, t, conn, "SELECT current_user"); got != user {
				t.Errorf("%s: %s is logged in as %q", name, user, got)
			}
		}
	}
}
