package corpus

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// shared is what all cases use: one real PostgreSQL, whose certificate is replaced for each.
var shared struct {
	lab      *servers.Lab
	postgres *servers.Postgres
}

// weakOpenSSL lets PostgreSQL serve keys and signatures that its OpenSSL would refuse to load. libpq, which is what the
// cases are about, keeps the settings of the distribution.
const weakOpenSSL = `openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
CipherString = ALL:@SECLEVEL=0
MinProtocol = TLSv1.2
`

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) error {
		shared.lab = lab
		conf := filepath.Join(lab.Dir(), "weak-openssl.cnf")
		if err := os.WriteFile(conf, []byte(weakOpenSSL), 0o644); err != nil {
			return err
		}
		var err error
		shared.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{
			Env: []string{"OPENSSL_CONF=" + conf}, Settings: []string{"ssl_ciphers = 'ALL:@SECLEVEL=0'"},
		})
		return err
	}))
}
