// Package health keeps what pgorigin knows about itself and answers questions about it over HTTP.
//
// [Status] holds the state of the process and its conditions. For each origin, [Record] counts sessions and
// failures, and [Prober] remembers whether the upstream can be reached. [Handler] serves the endpoints:
//
//	/startupz  200 once every listener is bound and every startup check has passed; stays 200 while draining
//	/livez     200 as long as the process answers and every liveness check passes
//	/readyz    200 when bound, not told to stop, and every readiness check passes
//	/healthz   the same as /readyz, because people type it
//	/statusz   200 always: a [Snapshot] as JSON
//	/          200 always: the same for people, as HTML
//	/metrics   counters for Prometheus
//
// No request dials anything. A probe that dials the upstream would take every pod out at once when the
// database hiccups, including pods that can serve without it. A check reports an outcome that is already
// known.
//
// The package knows neither sessions nor TLS. Its caller tells it words and numbers. The packages page and
// metrics serve / and /metrics; both import health, so Handler takes them as an [http.Handler].
//
// Start reading at Handler in handler.go, then status.go. snapshot.go is the reference of /statusz.
package health
