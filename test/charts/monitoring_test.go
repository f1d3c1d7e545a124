//go:build charts

package charts

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgorigin/pgorigin/test/internal/kube"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// promtool runs it and fails the test, with what it said, if it fails. test/promtool installs it.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args[:2], err, out)
	}
}

// writeRules writes rule groups to a file for promtool and returns its path.
func writeRules(t *testing.T, groups any) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// alerts are the rendered rule groups.
func alerts(t *testing.T) any {
	t.Helper()
	objects := render(t, shared.helms[0], "pgorigin", "1.36.0", "{injector: {mode: none}, prometheusRule: {enabled: true}}")
	return kube.Find(objects, "PrometheusRule", "").At("spec", "groups")
}

// Each alert fires when it should, with these words, and not before.
func TestAlerts(t *testing.T) {
	rules := writeRules(t, alerts(t))
	text, err := os.ReadFile(filepath.Join("testdata", "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules_test.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "RULES", rules, 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", "test", "rules", path)

	runbooks, err := os.ReadFile(filepath.Join(chart(t, ".."), "docs", "how-to", "alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range alerts(t).([]any) {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			name := fmt.Sprint(rule.(map[string]any)["alert"])
			if !strings.Contains(string(text), "alertname: "+name+"\n") {
				t.Errorf("%s has no test", name)
			}
			if !strings.Contains(string(runbooks), "### "+name+"\n") {
				t.Errorf("docs/how-to/alerts.md has no runbook %s", name)
			}
		}
	}
}

// query is one PromQL expression and where it stands.
type query struct{ place, expr string }

// queries are those of the dashboard, with Grafana's variables filled in, and those of the alerts.
func queries(t *testing.T) []query {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart(t, "pgorigin"), "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		ID     *int
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.ID != nil {
		t.Error("the dashboard needs a fixed uid, and no id, which is that of one Grafana")
	}
	var all []query
	fill := strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$pod", ".*")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{"panel " + panel.Title, fill.Replace(target.Expr)})
		}
	}
	labelValues := regexp.MustCompile(`^label_values\((.*), \w+\)$`)
	for _, variable := range dashboard.Templating.List {
		if match := labelValues.FindStringSubmatch(variable.Definition); match != nil {
			all = append(all, query{"variable " + variable.Name, fill.Replace(match[1])})
		}
	}
	for _, group := range alerts(t).([]any) {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			rule := rule.(map[string]any)
			all = append(all, query{fmt.Sprint("alert ", rule["alert"]), fmt.Sprint(rule["expr"])})
		}
	}
	return all
}

func TestQueriesParse(t *testing.T) {
	var rules []any
	for i, q := range queries(t) {
		if strings.Contains(q.expr, "$") {
			t.Errorf("%s: %s has a variable that the test does not know", q.place, q.expr)
		}
		rules = append(rules, map[string]any{"record": fmt.Sprintf("query_%d", i), "expr": q.expr})
	}
	if len(rules) < 30 {
		t.Errorf("only %d queries were found", len(rules))
	}
	promtool(t, "", "check", "rules", writeRules(t, []any{map[string]any{"name": "queries", "rules": rules}}))
}

// Dashboard and alerts ask for nothing that a running pgorigin does not have, by name, label and value.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	exposition, webhook := metrics(t), webhookMetrics(t)
	promtool(t, exposition, "check", "metrics")
	promtool(t, webhook, "check", "metrics")
	exposition += webhook
	known := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(exposition, -1) {
		known[match[1]] = true
		if match[2] == "histogram" {
			known[match[1]+"_bucket"], known[match[1]+"_count"], known[match[1]+"_sum"] = true, true, true
		}
	}
	name := regexp.MustCompile(`\b(pgorigin|process|go)_\w+`)
	matcher := regexp.MustCompile(`\b(reason|role)(=~?)"([^"]+)"`)
	for _, q := range queries(t) {
		metrics := name.FindAllString(q.expr, -1)
		if len(metrics) == 0 {
			t.Errorf("%s asks for no metric: %s", q.place, q.expr)
		}
		for _, metric := range metrics {
			if !known[metric] {
				t.Errorf("%s asks for %s, which a running pgorigin does not have", q.place, metric)
			}
		}
		for _, match := range matcher.FindAllStringSubmatch(q.expr, -1) {
			for _, value := range strings.Split(match[3], "|") {
				if match[1] == "reason" && !regexp.MustCompile(`reason="`+value+`"`).MatchString(exposition) {
					t.Errorf("%s asks for the reason %s, which a running pgorigin does not have", q.place, value)
				}
			}
		}
	}
	if missing := slices.DeleteFunc([]string{"pgorigin_ready", "pgorigin_sessions_total"}, func(m string) bool { return known[m] }); len(missing) > 0 {
		t.Errorf("the running pgorigin shows no %v", missing)
	}
}

// metrics starts a pgorigin with everything that its metrics depend on, and returns what it exposes.
func metrics(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	binary, err := shared.lab.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens there, and nobody has to: metrics are there from the start, with all their labels.
	origin, err := shared.lab.Origin(ctx, binary, "127.0.0.1:1", "PGORIGIN_TLS_CA_FILE="+shared.lab.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	status, body, err := origin.Get(ctx, "/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("read metrics: %d, %v", status, err)
	}
	return body
}

// webhookMetrics is metrics of `pgorigin webhook`.
func webhookMetrics(t *testing.T) string {
	t.Helper()
	binary, err := shared.lab.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := shared.lab.ServerCertificate(tlstest.P256).WriteFiles(t.TempDir(), "webhook")
	if err != nil {
		t.Fatal(err)
	}
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	webhook, err := shared.lab.StartCommand(binary, []string{"webhook"},
		"PGORIGIN_WEBHOOK_CERT_FILE="+cert, "PGORIGIN_WEBHOOK_KEY_FILE="+key, "PGORIGIN_WEBHOOK_DEFAULTS_DIR="+t.TempDir(),
		"PGORIGIN_WEBHOOK_SHUTDOWN_DELAY=0", "PGORIGIN_WEBHOOK_LISTEN_ADDR=127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer webhook.Stop()
	if err := webhook.Await(t.Context(), `"ready"`); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // as the PodMonitor
	defer client.CloseIdleConnections()
	response, err := client.Get("https://127.0.0.1:" + port + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
