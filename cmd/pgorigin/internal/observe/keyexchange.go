package observe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// pathLog has what is known about key exchange with each resolved address that is remembered.
type pathLog struct {
	mu    sync.Mutex
	known map[string]tlsorigin.PathChange // the latest, by resolved address
}

func (p *pathLog) changed(c tlsorigin.PathChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.After == "" {
		delete(p.known, c.Resolved)
		return
	}
	if p.known == nil {
		p.known = map[string]tlsorigin.PathChange{}
	}
	p.known[c.Resolved] = c
}

// list returns them by address.
func (p *pathLog) list() []tlsorigin.PathChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.known),
		func(a, b tlsorigin.PathChange) int { return strings.Compare(a.Resolved, b.Resolved) })
}

// Note says to which addresses connections go by a fallback. It is empty while there is none.
func (p *pathLog) Note() string {
	var texts []string
	for _, c := range p.list() {
		if c.Fallback != "" {
			texts = append(texts,
				fmt.Sprintf("%s goes by %s: %s", c.Resolved, c.Fallback, advice.FallbackCause(c.Cause)))
		}
	}
	return strings.Join(texts, "; ")
}

// DescribePaths is what the status says about key exchange.
func (o *Observer) DescribePaths() []health.KeyExchange {
	list := []health.KeyExchange{}
	for _, c := range o.Paths.list() {
		k := health.KeyExchange{
			Upstream: c.Addr, Address: c.Resolved, State: string(c.After), Fallback: string(c.Fallback),
		}
		if c.Fallback != "" {
			k.Cause, k.Cure, k.Until = advice.FallbackCause(c.Cause),
				advice.FallbackCure(c.Fallback, o.settings), c.Until.UTC()
		}
		list = append(list, k)
	}
	return list
}

// fellBack counts a connection that another ClientHello has made possible.
func (o *Observer) fellBack(a tlsorigin.Attempt) {
	if a.Fallback != "" && a.Err == nil {
		o.Metrics.Fallback(o.origin, string(a.Fallback))
	}
}

// probed notes an attempt in the background. It is in no metric of connections: those are about clients.
func (o *Observer) probed(a tlsorigin.Attempt, fields []zap.Field) {
	reason := string(pgwire.ReasonOK)
	if a.Err != nil {
		reason = a.Err.Reason()
		fields = append(fields, Text("error", advice.WithCause(a.Err)))
	} else {
		o.verified(a)
	}
	o.Log.Debug("upstream probed", append(fields, zap.String("reason", reason))...)
}

// pathChanged writes one line for each change of what is known about key exchange with an address: a warning
// where connections have less than they should.
func (o *Observer) pathChanged(c tlsorigin.PathChange) {
	o.Metrics.PostQuantumState(o.origin, string(c.Before), string(c.After))
	o.Paths.changed(c)
	if c.After == "" {
		return // no longer remembered, which is no event
	}
	fields := []zap.Field{
		zap.String("origin", o.origin), Text("upstream_addr", c.Addr), Text("upstream", c.Resolved),
		zap.String("state", string(c.After)), Text("before", string(c.Before)),
	}
	if c.Fallback == "" {
		o.Log.Info("key exchange state", fields...)
		return
	}
	o.Log.Warn("key exchange fell back", append(fields, zap.String("fallback", string(c.Fallback)),
		zap.String("cause", advice.FallbackCause(c.Cause)),
		zap.String("cure", advice.FallbackCure(c.Fallback, o.settings)),
		zap.Time("probe_after", c.Until.Truncate(time.Second)))...)
}
