package tlsorigin

import (
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestPlainDial is the ordinary case: one dial of one address, and nothing that is optional. test/road counts
// what it runs.
func TestPlainDial(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	conn, err := newTestDialer(t, ca, nil, p.Addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
