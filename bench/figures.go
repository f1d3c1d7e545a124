package main

import "strconv"

// figures are everything that is measured, in the order of the tables.
func figures() []figure {
	return []figure{
		{
			name: "tps", title: "Small transactions",
			how: "`pgbench -S`, simple protocol, through a TLS-only pgbouncer. Transactions that ended, and CPU time that the tunnel's process " +
				"used, between two moments after all clients had connected.",
			metrics:    []metric{{"transactions per second", "", true}, {"CPU per transaction", "µs", true}},
			situations: []situation{transactions(8), transactions(64)},
		},
		{
			name: "calm", title: "A quiet application",
			how: "`pgbench -S` again, four clients that together do " + strconv.Itoa(calmRate) + " transactions a second, at moments that chance sets (`-R`). " +
				"Each of them wakes the tunnel from a sleep.",
			metrics:    []metric{{"CPU per transaction", "µs", true}},
			situations: []situation{{name: strconv.Itoa(calmRate) + " a second", upstream: viaPgBouncer, measure: calm}},
		},
		{
			name: "latency", title: "Latency of one client",
			how:        "`SELECT 1` by one pgbench client without pause; each transaction's time is in pgbench's log.",
			metrics:    []metric{{"p50", "µs", true}, {"p99", "µs", true}},
			situations: []situation{{name: "SELECT 1", upstream: viaPgBouncer, measure: latency}},
		},
		{
			name: "connect", title: "New connections",
			how: "`pgbench -C`: connect, log in, `SELECT 1`, disconnect. By SCRAM-SHA-256, except where it says MD5: for SCRAM libpq hashes the " +
				"password 4096 times, whatever stands between it and the server, and only bridge takes that off it. The servers have hashed it " +
				"before (pgbouncer's `auth_file` has the secret that PostgreSQL has). The time from the end of one transaction to the end of " +
				"the next by one client that pauses for " + connectPause.String() + " between two connections, the pause taken off; and how many eight clients " +
				"without pauses get through. pgorigin and stunnel resume TLS sessions where the server hands out tickets, as pgbouncer does and " +
				"PostgreSQL does not; libpq resumes none. A pgbouncer as sidecar reuses its own connections to the upstream: clients log in to the sidecar only. " +
				"What PostgreSQL needs for itself is in the row \"" + rowAlone + "\": its Unix socket, no password.",
			connects: true,
			metrics: []metric{
				{connectP50, "ms", true}, {"p95", "ms", false}, {"connections per second", "", true}, {"CPU per connection", "µs", true},
			},
			situations: []situation{
				connectingBySCRAM(viaPgBouncer), connectingByMD5(viaPgBouncer), connectingBySCRAM(viaPostgres), connectingByMD5(viaPostgres),
			},
		},
		{
			name: "copy", title: "COPY",
			how: "psql copies rows of 256 bytes, to /dev/null or to `COPY … FROM STDIN WHERE false`, which the server parses and discards. " +
				"pgbouncer sends TLS records of at most 4 KiB, PostgreSQL of 8 KiB.",
			metrics: []metric{{"CPU per GB", "s/GB", true}, {"throughput", "MB/s", true}},
			situations: []situation{
				copying(copyOut, viaPgBouncer), copying(copyIn, viaPgBouncer), copying(copyOut, viaPostgres), copying(copyIn, viaPostgres),
			},
		},
		{
			name: "syscalls", title: "System calls", most: 3,
			how:     "All system calls of the tunnel's process, counted by the kernel (tracepoint raw_syscalls:sys_enter), in rounds of their own.",
			metrics: []metric{{"system calls", "", true}},
			situations: []situation{
				countedTransactions(8), countedCopy(copyOut, viaPgBouncer), countedCopy(copyIn, viaPgBouncer),
				countedCopy(copyOut, viaPostgres), countedCopy(copyIn, viaPostgres),
			},
		},
		{
			name: "idle", title: "Idle sessions", most: 1, run: idleSessions,
			how: "Sessions log in, run one query each and stay connected. Resident memory of the tunnel's process (RSS; PSS counts shared " +
				"pages by share) against that before the first session, divided by their number, after a pause that is longer than any " +
				"garbage collector waits. Memory of the kernel's sockets is not in it. CPU is what the process used per second of that pause.",
			metrics: []metric{{idlePerSession, "KiB", true}, {"PSS per session", "KiB", false}, {"CPU while idle", "ms/s", false}},
		},
		{
			name: "start", title: "At rest",
			how: "From starting the program until it is ready: `/readyz` answers 200, or the listener accepts, for programs that have no such " +
				"endpoint. Memory before the first client. The size of the program's file without what it loads.",
			metrics:    []metric{{"start to ready", "ms", true}, {"resident at rest", "MB", true}, {"binary", "MB", true}},
			situations: []situation{{name: startCase, upstream: viaPgBouncer, measure: atStart}},
		},
	}
}
