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
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// keyExchangeStates is what is known about key exchange with each resolved address.
type keyExchangeStates struct {
	mu    sync.Mutex
	known map[string]tlsorigin.KeyExchangeChange // the latest one, by resolved address; may be nil
}

func (p *keyExchangeStates) changed(c tlsorigin.KeyExchangeChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.After == "" {
		delete(p.known, c.Resolved)
		return
	}
	if p.known == nil {
		p.known = map[string]tlsorigin.KeyExchangeChange{}
	}
	p.known[c.Resolved] = c
}

// list returns the states, sorted by address.
func (p *keyExchangeStates) list() []tlsorigin.KeyExchangeChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.known), func(a, b tlsorigin.KeyExchangeChange) int {
		return strings.Compare(a.Resolved, b.Resolved)
	})
}

// note lists the addresses that need a fallback. It is empty if none does.
func (p *keyExchangeStates) note() string {
	var texts []string
	for _, c := range p.list() {
		if c.Fallback != "" {
			cause := advice.FallbackCause(c.Cause)
			texts = append(texts, fmt.Sprintf("%s uses the fallback %s: %s", c.Resolved, c.Fallback, cause))
		}
	}
	return strings.Join(texts, "; ")
}

// describeKeyExchange returns what the status says about key exchange.
func (o *Observer) describeKeyExchange() []health.KeyExchange {
	list := []health.KeyExchange{}
	for _, c := range o.keyExchange.list() {
		k := health.KeyExchange{
			Upstream: c.Addr, Address: c.Resolved, State: string(c.After), Fallback: string(c.Fallback),
		}
		if c.Fallback != "" {
			k.Cause, k.Until = advice.FallbackCause(c.Cause), c.Until.UTC()
			k.Cure = advice.FallbackCure(c.Fallback, o.settings)
		}
		list = append(list, k)
	}
	return list
}

// keyExchangeChanged logs a change in what is known about key exchange with an address. A fallback is a
// warning.
func (o *Observer) keyExchangeChanged(c tlsorigin.KeyExchangeChange) {
	o.metrics.PostQuantumState(o.origin, string(c.Before), string(c.After))
	o.keyExchange.changed(c)
	if c.After == "" {
		return // the address is forgotten
	}
	fields := []zap.Field{
		zap.String("origin", o.origin), Text("upstream_addr", c.Addr), Text("upstream", c.Resolved),
		zap.String("state", string(c.After)), Text("before", string(c.Before)),
	}
	if c.Fallback == "" {
		o.log.Info("key exchange state", fields...)
		return
	}
	o.log.Warn("key exchange fell back", append(fields, zap.String("fallback", string(c.Fallback)),
		zap.String("cause", advice.FallbackCause(c.Cause)),
		zap.String("cure", advice.FallbackCure(c.Fallback, o.settings)),
		moment("probe_after", c.Until.Truncate(time.Second)))...)
}
