package advice

import (
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// A word of the user's stays what it is, also when a field of tlsorigin.Config has the same name.
func TestWarningsRepeatUserDataUnchanged(t *testing.T) {
	warning := tlsorigin.Warning{Field: "CAFile", Text: `certificate "PostQuantum Test CA" expired`}
	want := `PGORIGIN_TLS_CA_FILE: certificate "PostQuantum Test CA" expired`
	if got := Warning(new(config.Origin), warning); got != want {
		t.Errorf("warning is %q, want %q", got, want)
	}
}
