package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// job plays a Kubernetes Job whose pod has pgorigin as an ordinary second container: both start at once, in any order, and
// the pod is complete only when both have ended well.
const job = `
set -eu
(sleep 0.5; exec "$PGORIGIN") & sidecar=$!   # a slow start
"$PGORIGIN" wait --timeout 60s
"$PSQL" -X -qAt -d "$DSN" -v ON_ERROR_STOP=1 -c "SELECT 'the work is done'"
$QUIT
wait "$sidecar" && code=0 || code=$?
echo "the sidecar ended with $code"
`

func TestJob(t *testing.T) {
	for name, row := range map[string]struct{ quit, env, cause string }{
		"shutdown":  {`"$PGORIGIN" shutdown --wait 60s`, "PGORIGIN_ADMIN_ADDR=", "asked by /quitquitquit"},
		"when idle": {`:`, "PGORIGIN_EXIT_WHEN_IDLE=300ms", "no session for 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			var ports [3]string
			for i := range ports {
				port, err := shared.lab.Port()
				if err != nil {
					t.Fatal(err)
				}
				ports[i] = "127.0.0.1:" + port
			}
			if strings.HasSuffix(row.env, "=") {
				row.env += ports[2]
			}
			psql := shared.lab.Psql(ctx, servers.DSN(ports[0]))
			cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(job, "$QUIT", row.quit, 1))
			cmd.Env = append(psql.Env, "PGORIGIN="+shared.binary, "PSQL="+psql.Path, "DSN="+servers.DSN(ports[0]),
				"GORACE=atexit_sleep_ms=10", "PGORIGIN_UPSTREAM_ADDR="+shared.bouncer.Addr, "PGORIGIN_TLS_CA_FILE="+shared.lab.CAFile,
				"PGORIGIN_LISTEN_ADDR="+ports[0], "PGORIGIN_HEALTH_ADDR="+ports[1], "PGORIGIN_LOG_FORMAT=json", row.env)
			out, err := cmd.CombinedOutput()
			text := string(out)
			if err != nil || !strings.Contains(text, "the work is done\n") || !strings.HasSuffix(text, "the sidecar ended with 0\n") ||
				!strings.Contains(text, `"cause":"`+row.cause+`"`) {
				t.Errorf("%v:\n%s", err, text)
			}
		})
	}
}
