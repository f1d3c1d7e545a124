// Package switchover takes the upstream away and brings it back, as promotions, restarts, networks and load
// balancers do, and counts what clients notice.
//
// Real PostgreSQL, in streaming replication, and real pgbouncers stand behind the built binary. The test runs
// itself in network and mount namespaces of its own, which takes root: each program has a loopback address
// there, iptables cuts and counts, and a name server of the test's own has the names. "make switchover" prints
// tables with the exact figures. The tests fail only at wider bounds, so that a busy machine passes.
package switchover
