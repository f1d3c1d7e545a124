package check

import (
	"net"
	"slices"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// A failure that belongs to no printed stage is a failure all the same, and nothing else is called ok.
func TestStagesUpToTheFailure(t *testing.T) {
	c := &originChecker{origin: new(config.Origin), cures: advice.NewCures(new(config.Origin))}
	for _, row := range []struct {
		name   string
		failed diagnose.Stage
		want   []diagnose.Stage
	}{
		{"the first stage", diagnose.StageTCP, []diagnose.Stage{"tcp"}},
		{"a stage in the middle", diagnose.StageChain, []diagnose.Stage{"tcp", "sslrequest", "tls", "chain"}},
		{"a stage of the upstream", diagnose.StageDNS, []diagnose.Stage{"dns"}},
		{"an unknown stage", "unheard_of", []diagnose.Stage{"unheard_of"}},
		{"no stage", "", []diagnose.Stage{"tcp", "sslrequest", "tls", "chain", "name", "client_certificate"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &diagnose.Address{Addr: &tlsorigin.Addr{TCP: new(net.TCPAddr)}, Failed: row.failed}
			if row.failed != "" {
				d.Err = &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamGone, Text: "went away"}
			}
			a := c.newAddress(d, new(diagnose.Upstream), nil)
			var got []diagnose.Stage
			for _, s := range a.Stages {
				got = append(got, s.Stage)
				if failed := s.Result == resultFailed; failed != (s.Stage == row.failed) {
					t.Errorf("%s is %s", s.Stage, s.Result)
				}
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("the stages are %v, want %v", got, row.want)
			}
			r := Report{Upstreams: []Upstream{{Addresses: []Address{*a}}}}
			r.conclude()
			if r.OK != (row.failed == "") {
				t.Errorf("the verdict is %v, the failure %+v", r.OK, r.Failed)
			}
		})
	}
}
