package advice

import (
	"slices"
	"strings"
	"testing"
)

// TestStrangersGetNothing: a peer for which no authority vouches can choose among these cures, by what it
// sends. None of them may take something from it, or give up a part of the verification.
func TestStrangersGetNothing(t *testing.T) {
	for _, word := range []string{"cert_unknown_authority", "chain_incomplete"} {
		r, _ := lookup(word)
		for _, cure := range r.allCures() {
			for _, given := range []string{"{}", "TLS_SERVER_NAME", "TLS_PINS", "TLS_VERIFY", "TLS_CRL_FILE"} {
				if strings.Contains(cure, given) {
					t.Errorf("%s: %q has %s", word, cure, given)
				}
			}
		}
		for _, cures := range append([][]string{r.Cures}, casesOf(r)...) {
			text := strings.Join(cures, " ")
			takes := strings.Contains(text, "{TLS_CA_FILE}") || strings.Contains(text, "{own:TLS_CA_FILE}")
			says := func(word string) bool { return strings.Contains(text, word) }
			if takes && !slices.ContainsFunc([]string{"not from the network", "from its administrator", "in {TLS_CA_FILE}"}, says) {
				t.Errorf("%s: %q does not say where to get the CA", word, text)
			}
		}
	}
}

func casesOf(r reason) (all [][]string) {
	for _, c := range r.Cases {
		all = append(all, c.Cures)
	}
	return all
}
