package config

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// TestRowsAndFieldsAreTheSame: a row without a field is never read, and a field without a row is unknown.
func TestRowsAndFieldsAreTheSame(t *testing.T) {
	for _, group := range []struct {
		rows   []Variable
		fields any
	}{{Variables(), new(Config)}, {originVariables(), new(Origin)}, {webhookVariables(), new(WebhookSettings)}} {
		var out bytes.Buffer
		table := tabwriter.NewWriter(&out, 0, 0, 0, ' ', 0)
		if err := envconfig.Usagef("pgorigin", group.fields, table, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
			t.Fatal(err)
		}
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(out.String())
		for _, v := range group.rows {
			i := slices.Index(fields, v.Name())
			if i < 0 {
				t.Errorf("%s has a row, and no field in %T", v.Name(), group.fields)
				continue
			}
			fields = slices.Delete(fields, i, i+1)
		}
		if len(fields) > 0 {
			t.Errorf("%v have a field in %T, and no row", fields, group.fields)
		}
	}
}

// TestRowsAreComplete names what a row lacks.
func TestRowsAreComplete(t *testing.T) {
	words := OriginWords()
	for _, v := range append(Variables(), webhookVariables()...) {
		if v.Help == "" || v.Type.Name == "" {
			t.Errorf("%s lacks Help or Type", v.Word)
		}
		if (v.Default == "") == (v.Unset == "") {
			t.Errorf("%s has default %q and unset %q, and needs one of the two", v.Word, v.Default, v.Unset)
		}
		if v.Default == "" && v.Example == "" {
			t.Errorf("%s lacks an Example", v.Word)
		}
		for _, value := range []string{v.Default, v.Example} {
			if value == "" {
				continue
			}
			if _, err := v.Type.parse(value); err != nil {
				t.Errorf("%s: %q: %v", v.Word, value, err)
			}
		}
		if v.Unless != "" && !slices.Contains(words, v.Unless) {
			t.Errorf("%s: Unless is %s, which origins do not have", v.Word, v.Unless)
		}
		if v.PerOrigin && v.Security != securityName.MatchString(v.Name()) {
			t.Errorf("%s: Security is %v, and securityName says otherwise", v.Word, v.Security)
		}
		if isFile := strings.HasSuffix(v.Word, "_FILE"); isFile && v.File == NoFile {
			t.Errorf("%s does not say when its file is read", v.Word)
		}
		if (v.Dialer != "" || v.Required && !v.PerOrigin) && v.Cure == "" {
			t.Errorf("%s lacks a Cure", v.Word)
		}
	}
}

// TestDialerFieldsHaveRows: what tlsorigin says of a field is said of a variable.
func TestDialerFieldsHaveRows(t *testing.T) {
	fields := reflect.TypeFor[tlsorigin.Config]()
	var of []string
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if _, ok := dialerVariable(name); !ok && !slices.Contains([]string{"NetDial", "OwnAddress", "Trace"}, name) {
			t.Errorf("tlsorigin.Config.%s has no variable", name)
		}
		of = append(of, name)
	}
	for _, v := range Variables() {
		if v.Dialer != "" && !slices.Contains(of, v.Dialer) {
			t.Errorf("%s: tlsorigin.Config has no field %s", v.Word, v.Dialer)
		}
	}
}

// TestFirstWordsAreClosed: the first word of a variable can be no name of an origin. The list below is
// frozen, because somebody may have an origin with any other name: a new variable begins with one of these
// words.
func TestFirstWordsAreClosed(t *testing.T) {
	const frozen = `ADMIN AUTH DIAL EXIT HEALTH LISTEN LOG LOGIN MAX ORIGINS PROBE READINESS SHUTDOWN STARTUP TLS UNKNOWN
		UPSTREAM WARM WEBHOOK CANCEL CHECK CLIENT CONFIG DNS DRAIN EXEC IDLE ORIGIN PROXY RELOAD SESSION TCP TRACE WAIT
		DEFAULT PORT SERVICE`
	if want := strings.Fields(frozen); !slices.Equal(FirstWords(), want) {
		t.Errorf("the first words are %v,\nwant %v", FirstWords(), want)
	}
	for _, v := range append(Variables(), webhookVariables()...) {
		first, _, _ := strings.Cut(v.Word, "_")
		if !slices.Contains(FirstWords(), first) {
			t.Errorf("%s begins with %s, which may be the name of an origin; begin it with one of %v", v.Word, first, FirstWords())
		}
	}
}
