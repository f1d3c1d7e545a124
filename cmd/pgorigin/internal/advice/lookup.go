package advice

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// closedBy says who ends a session that ends for r in phase. It asks pgwire, which decides.
func (r reason) closedBy(phase pgwire.Phase) string {
	return string(pgwire.SessionResult{Phase: phase, Reason: pgwire.Reason(r.Word)}.ClosedBy())
}

// layer says how far a dial came that ends with r. It asks tlsorigin, which decides.
func (r reason) layer() tlsorigin.Layer { return tlsorigin.Reason(r.Word).Layer() }

// cure returns the sentences that say what to change, with the names that o has for variables.
func (r reason) cure(o *config.Origin) string { return o.Fill(strings.Join(r.Cures, " ")) }

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

// CureOf returns the cure of a reason word; it is empty for a word without one.
func CureOf(word string, o *config.Origin) string {
	r, _ := lookup(word)
	return r.cure(o)
}

// Cures has the cure for each reason, with the names that one origin has for variables. It is for a process
// that words many failures: a flood of refused clients must not cost a table each.
type Cures map[string]string

// NewCures returns the cures for o.
func NewCures(o *config.Origin) Cures {
	cures := Cures{}
	for _, r := range reasons() {
		cures[r.Word] = r.cure(o)
	}
	return cures
}

// A client gets the reason, the text and the hint of an error of tlsorigin only because that is a Failure.
var _ pgwire.Failure = (*tlsorigin.Error)(nil)

// Hint is what pgwire tells a client below the error itself: the cure for the reason of err. It is empty
// without one.
func (c Cures) Hint(err error) string {
	failure, ok := pgwire.AsFailure(err)
	if !ok {
		return ""
	}
	return c[failure.Reason()]
}
