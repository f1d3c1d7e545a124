package main

import "strconv"

// figures are everything that is measured, in the order of the tables.
func figures() []figure {
	return []figure{
		{
			name: "tps", title: "Small transactions",
			how: "`pgbench -S`, simple protocol, through a pgbouncer that accepts only TLS. Transactions that ended,\n" +
				"and CPU time of the tunnel's process, between two moments after all clients had connected.",
			metrics:    []metric{{"transactions per second", "", true}, {"CPU per transaction", "µs", true}},
			situations: []situation{transactions(8), transactions(64)},
		},
		{
			name: "calm", title: "A quiet application",
			how: "`pgbench -S` again, with four clients that together do " + strconv.Itoa(calmRate) + " transactions a second, at random\n" +
				"moments (`-R`). Each transaction wakes the tunnel from a sleep.",
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
			how: "`pgbench -C`: connect, log in, `SELECT 1`, disconnect.\n\n" +
				"- Accounts log in by SCRAM-SHA-256, except where it says MD5. For SCRAM, libpq hashes the password\n" +
				"  4096 times, whatever stands between it and the server. Only `bridge` takes that off it. The\n" +
				"  servers have hashed it before: pgbouncer's `auth_file` has the secret that PostgreSQL has.\n" +
				"- One client pauses for " + connectPause.String() + " between two connections. The time is from the end of one transaction\n" +
				"  to the end of the next, less the pause. Eight clients without pauses give the rate.\n" +
				"- pgorigin and stunnel resume TLS sessions where the server hands out tickets: pgbouncer does,\n" +
				"  PostgreSQL does not. libpq resumes none.\n" +
				"- A pgbouncer as sidecar reuses its own connections to the upstream, so clients log in to the\n" +
				"  sidecar only.\n" +
				"- The row \"" + rowAlone + "\" has what PostgreSQL needs for itself: its Unix socket, no password.",
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
			how: "psql copies rows of 256 bytes, to /dev/null or to `COPY … FROM STDIN WHERE false`, which the server\n" +
				"parses and discards. pgbouncer sends TLS records of at most 4 KiB, PostgreSQL of 8 KiB.",
			metrics: []metric{{"CPU per GB", "s/GB", true}, {"throughput", "MB/s", true}},
			situations: []situation{
				copying(copyOut, viaPgBouncer), copying(copyIn, viaPgBouncer), copying(copyOut, viaPostgres), copying(copyIn, viaPostgres),
			},
		},
		{
			name: "syscalls", title: "System calls", most: 3,
			how: "All system calls of the tunnel's process, counted by the kernel (tracepoint raw_syscalls:sys_enter),\n" +
				"in rounds of their own.",
			metrics: []metric{{"system calls", "", true}},
			situations: []situation{
				countedTransactions(8), countedCopy(copyOut, viaPgBouncer), countedCopy(copyIn, viaPgBouncer),
				countedCopy(copyOut, viaPostgres), countedCopy(copyIn, viaPostgres),
			},
		},
		{
			name: "idle", title: "Idle sessions", most: 1, run: idleSessions,
			how: "Sessions log in, run one query each and stay connected. The figure is the tunnel's resident memory\n" +
				"(RSS), less that before the first session, divided by their number. It is read after a pause that is\n" +
				"longer than any garbage collector waits. PSS counts shared pages by share. Memory of the kernel's\n" +
				"sockets is not in it. CPU is what the process used per second of that pause.",
			metrics: []metric{{idlePerSession, "KiB", true}, {"PSS per session", "KiB", false}, {"CPU while idle", "ms/s", false}},
		},
		{
			name: "start", title: "At rest",
			how: "The time from starting the program until it is ready: `/readyz` answers 200, or the listener\n" +
				"accepts. Memory before the first client. The size of the program's file without what it loads.",
			metrics:    []metric{{"start to ready", "ms", true}, {"resident at rest", "MB", true}, {"binary", "MB", true}},
			situations: []situation{{name: startCase, upstream: viaPgBouncer, measure: atStart}},
		},
	}
}
