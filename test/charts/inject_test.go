//go:build charts

package charts

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/kube"
)

// What the library chart renders belongs to the chart: inject and uninject leave it alone, and say so.
func TestInjectLeavesTheLibraryAlone(t *testing.T) {
	binary, err := shared.lab.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eachHelm(t, func(t *testing.T, helm kube.Helm) {
		rendered, err := helm.Run(t.Context(), "", "template", "shop", chart(t, "examples/shop"), "--kube-version", "1.36.0")
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"uninject"}, {"inject", "--image", "other:1", "--upstream", "other:5432", "--ca-secret", "other"}} {
			var said bytes.Buffer
			cmd := exec.CommandContext(t.Context(), binary, args...)
			cmd.Stdin, cmd.Stderr = strings.NewReader(rendered), &said
			out, err := cmd.Output()
			if err != nil || string(out) != rendered {
				t.Errorf("%s: %v, got\n%s\nwant\n%s", args[0], err, out, rendered)
			}
			const want = "Deployment shop: left alone: inject did not write its container pgorigin; change it where it comes from, such as a Helm chart\n"
			if said.String() != want {
				t.Errorf("%s says %s", args[0], said.String())
			}
		}
	})
}
