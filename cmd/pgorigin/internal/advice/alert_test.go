package advice

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheAlertKnowsEveryReason: the chart alerts on reasons by which an upstream may be the wrong server.
func TestTheAlertKnowsEveryReason(t *testing.T) {
	quiet := map[string]string{ // why the alert leaves out a word
		"tls_timeout": "a slow upstream or network",
		"tls_alert":   "the upstream refuses pgorigin, and has proved nothing yet",

		"tls_no_common":   "as with tls_alert",
		"tls_server_name": "as with tls_alert",
	}
	chart, err := os.ReadFile(root + "charts/pgorigin/templates/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, alert, _ := strings.Cut(string(chart), "- alert: PgoriginUpstreamNotVerified\n")
	alert, _, _ = strings.Cut(alert, "- alert: ")
	selector := regexp.MustCompile(`reason=~"([^"]+)"`).FindStringSubmatch(alert)
	if selector == nil {
		t.Fatal("the alert PgoriginUpstreamNotVerified selects no reasons; has it been renamed?")
	}
	selected := regexp.MustCompile("^(?:" + selector[1] + ")$") // anchored, as Prometheus does it
	for _, word := range Words() {
		_, isQuiet := quiet[word]
		delete(quiet, word)
		isTLS := slices.ContainsFunc([]string{"tls_", "cert_", "chain_", "crl_", "not_postgres"},
			func(prefix string) bool { return strings.HasPrefix(word, prefix) })
		switch {
		case selected.MatchString(word) && isQuiet:
			t.Errorf("%s is selected, and is in the list of this test, too", word)
		case selected.MatchString(word) && !isTLS:
			t.Errorf("%s is selected, and is no reason of TLS", word)
		case isTLS && !isQuiet && !selected.MatchString(word):
			t.Errorf("%s is not selected; add it to the alert, or to the list of this test", word)
		}
	}
	for word := range quiet {
		t.Errorf("the list of this test has %s, which is no reason", word)
	}
	for _, word := range strings.Split(selector[1], "|") {
		if _, ok := lookup(word); !ok && !strings.HasSuffix(word, ".*") {
			t.Errorf("the alert selects %s, which is no reason", word)
		}
	}
}
