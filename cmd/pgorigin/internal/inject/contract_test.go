package inject

import (
	"strings"
	"testing"
	"text/template"
)

// TestContractIsRendered: the program has what the chart's template renders. -update writes it.
func TestContractIsRendered(t *testing.T) {
	parsed, err := template.ParseFiles("../../../../charts/pgorigin-sidecar/templates/_contract.tpl")
	if err != nil {
		t.Fatal(err)
	}
	var rendered strings.Builder
	if err := parsed.ExecuteTemplate(&rendered, "pgorigin.contract", nil); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "../../../../charts/contract.yaml", rendered.String())
}

// TestContract: it has our names. Its patterns are compiled at their first use, so a mistake would come late.
func TestContract(t *testing.T) {
	made := readContract()
	probe := child(child(child(&made.Container, "startupProbe"), "httpGet"), "port").Value
	if name := text(&made.Container, "name"); name != containerName || probe != healthPort {
		t.Errorf("container %s with health port %s", name, probe)
	}
	if ip := text(made.HostAliases.Content[0], "ip"); ip != loopback {
		t.Errorf("names lead to %s", ip)
	}
	made.showable()
	made.connections()
	for _, word := range made.Words {
		word.pattern()
		word.except()
	}
}
