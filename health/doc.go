// Package health tells probes, people and Prometheus how pgorigin is doing.
//
// [Status] is what pgorigin knows about itself, [Record] and [Prober] what happened to one of its origins, [Metrics] what it
// counted, and [Handler] serves it all over HTTP:
//
//	/startupz  200 once every listener is bound and every startup check has passed; stays 200 while draining
//	/livez     200 as long as the process answers and every liveness check passes
//	/readyz    200 when bound, not told to stop, and every readiness check passes
//	/healthz   the same as /readyz, because people type it
//	/statusz   200 always: a [Snapshot] as JSON
//	/          200 always: the same for people, as HTML
//	/metrics   Prometheus text
//
// No request dials anything: a probe that reached for the upstream would take every pod out at once when the
// database hiccups, including pods that can serve without it. What an added check reports has to be known already.
//
// The package knows neither sessions nor TLS. It is told words and numbers, and cmd/pgorigin does the telling.
package health
