package observe

import "github.com/pgorigin/pgorigin/tlsorigin/outage"

// OutageTrace returns the hooks for the line of clients.
func (o *Observer) OutageTrace() outage.Trace { return outage.Trace{} }
