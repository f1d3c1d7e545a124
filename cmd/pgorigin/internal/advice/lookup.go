package advice

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// closedBy says who ends a session that ends for r in that way. It asks pgwire, which decides.
func (r reason) closedBy(e end) string {
	result := pgwire.SessionResult{Phase: e.Phase, Reason: pgwire.Reason(r.Word)}
	if e.SQLState == serversOwn {
		result.Server = new(pgwire.ServerError)
	}
	return string(result.ClosedBy())
}

// layer says how far a dial came that ends with r. It asks tlsorigin, which decides.
func (r reason) layer() tlsorigin.Layer { return tlsorigin.Reason(r.Word).Layer() }

// cures returns the templates for a case of the reason. A case without a row has those of the reason.
func (r reason) cures(which string) []string {
	for _, c := range r.Cases {
		if c.Case == which {
			return c.Cures
		}
	}
	return r.Cures
}

// describe says what a case of the reason means, without a full stop.
func (r reason) describe(which string) string {
	for _, c := range r.Cases {
		if c.Case == which {
			return c.When
		}
	}
	return strings.TrimSuffix(r.Meaning, ".")
}

// everybody reports whether the upstream refuses every login for a case of the reason.
func (r reason) everybody(which string) bool {
	return r.Everybody && !slices.ContainsFunc(r.Cases, func(c reasonCase) bool { return c.Case == which && c.Some })
}

// allCures returns the templates of the reason and of all its cases.
func (r reason) allCures() []string {
	all := slices.Clone(r.Cures)
	for _, c := range r.Cases {
		all = append(all, c.Cures...)
	}
	return all
}

// reasons returns all rows of the table.
func reasons() []reason {
	var rows []reason
	for _, g := range groups() {
		rows = append(rows, g.Reasons...)
	}
	return rows
}

// lookup returns the row of a word; ok is false if there is none.
func lookup(word string) (r reason, ok bool) {
	rows := reasons()
	if i := slices.IndexFunc(rows, func(r reason) bool { return r.Word == word }); i >= 0 {
		return rows[i], true
	}
	return reason{}, false
}

// Words returns all reason words.
func Words() []string {
	var words []string
	for _, r := range reasons() {
		words = append(words, r.Word)
	}
	return words
}

// DialWords returns the words with which a dial can end.
func DialWords() []string {
	words := []string{string(pgwire.ReasonOK)}
	for _, r := range reasons() {
		if r.layer() != tlsorigin.LayerNone {
			words = append(words, r.Word)
		}
	}
	return words
}

// CertificateWords returns the words with which a certificate of the upstream is refused.
func CertificateWords() []string {
	var words []string
	for _, r := range reasons() {
		if slices.Contains(r.Stages, diagnose.StageChain) || slices.Contains(r.Stages, diagnose.StageName) {
			words = append(words, r.Word)
		}
	}
	return words
}

// A client gets the reason, the text and the hint of an error of tlsorigin only because that is a Failure.
var _ pgwire.Failure = (*tlsorigin.Error)(nil)
