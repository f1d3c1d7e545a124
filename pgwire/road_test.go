package pgwire

import (
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestPlainSession is the road that test/road measures: one session without anything special.
func TestPlainSession(t *testing.T) {
	r := newTCPRig(t, nil)
	client, upstream := r.login("pid4key4")
	query, answer := pgtest.Message('Q', "SELECT 1\x00"), append(pgtest.Message('C', "SELECT 1\x00"), pgtest.ReadyForQuery('I')...)
	client.Send(query)
	upstream.Expect(query)
	upstream.Send(answer)
	client.Expect(answer)
	client.Send(pgtest.Terminate())
	upstream.Expect(pgtest.Terminate())
	_ = upstream.Close()
	client.ExpectEOF()
	r.expectEnd(ReasonOK)
}
