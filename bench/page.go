package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// head begins the page.
const head = `# Performance

` + "`make bench UPDATE=-update`" + ` writes this page from the samples in
[performance.json](performance.json). Edit bench/, not this page.

A sidecar costs something in every pod. So every figure is beside the alternatives:

- a direct TLS connection of libpq (` + "`sslmode=verify-full`" + `);
- stunnel (` + "`protocol = pgsql`" + `);
- pgbouncer as a sidecar (` + "`server_tls_sslmode=verify-full`" + `);
- as the lower limit, a naive relay in Go: two ` + "`io.Copy`" + ` and nothing else.

All of them verify the chain and the name of the same server.

`

// method says how everything is measured; the figures say the rest.
const method = `## How it was measured

- Real servers run on loopback: PostgreSQL, and in front of it a pgbouncer that accepts only TLS and
  pools by transaction. Client, tunnel and servers share the machine's cores. **Ratios carry over to
  another machine, seconds do not.**
- Every round measures every row, in another order and in fresh processes. A cell is the median of
  the rounds with both quartiles. In bold is the median of the ratios to pgbouncer of each round.
  Whiskers in the plots are the quartiles.
- CPU time is what the kernel charged the tunnel's process, all threads, in nanoseconds
  (` + "`clock_getcpuclockid`" + `). It is never the machine's load.
- The client is the same for all rows: pgbench and psql with libpq. Only the direct row does TLS in
  the client.
- Programs have their default settings, logs included. The sidecar pgbouncer pools by session, as a
  tunnel does. Its pool is as large as the number of its clients.
- stunnel and the naive relay do not know the protocol, so libpq cannot log in by SCRAM through them
  to PostgreSQL. Where the figure allows it, the account has an MD5 password for all rows.

`

// page is docs/performance.md.
func (h *history) page() string {
	var b strings.Builder
	now := h.Runs[0]
	b.WriteString(head)
	if now.Quick {
		b.WriteString("**This is a quick run: it shows that the benchmarks work, not what they find.**\n\n")
	}
	h.writeBudgets(&b)
	b.WriteString("## The machine\n\n")
	for i, r := range h.Runs {
		when := "This run"
		if i > 0 {
			when = "The run before"
		}
		m := r.Machine
		fmt.Fprintf(&b, "- %s: %s, %d rounds, %s,\n  %d cores, %s, %s\n", when, m.Date, r.Rounds, m.CPU, m.Cores, m.Memory, m.Kernel)
	}
	for _, figure := range slices.Sorted(maps.Keys(now.Earlier)) {
		fmt.Fprintf(&b, "- The figures of `%s` are from an earlier run: %s\n", figure, now.Earlier[figure])
	}
	b.WriteString("\nPrograms:\n\n")
	for _, version := range now.Machine.Versions {
		fmt.Fprintf(&b, "- %s\n", strings.Replace(version, " (revision", "\n  (revision", 1))
	}
	b.WriteString("\n" + method)
	for _, f := range figures() {
		if len(now.situations(f)) == 0 {
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", f.title, f.how)
		if len(now.panels(f)) > 0 {
			fmt.Fprintf(&b, "![%s](performance/%s.svg)\n\n", f.title, f.name)
		}
		now.writeFigure(&b, f)
	}
	now.writeFailures(&b)
	return b.String()
}

// writeBudgets writes what was promised and what was seen, run by run.
func (h *history) writeBudgets(b *strings.Builder) {
	b.WriteString("## Budgets\n\nRatios are medians of what each round gave, with quartiles.\n\n| budget | at most | this run | |")
	if len(h.Runs) > 1 {
		b.WriteString(" the run before | |")
	}
	b.WriteString("\n| --- | ---: | ---: | --- |")
	if len(h.Runs) > 1 {
		b.WriteString(" ---: | --- |")
	}
	b.WriteByte('\n')
	for _, each := range budgets() {
		for _, label := range h.Runs[0].Origins {
			name := each.text
			if len(h.Runs[0].Origins) > 1 {
				name = label + ": " + name
			}
			fmt.Fprintf(b, "| %s | %s |", name, withUnit(each.limit, each.unit))
			for _, r := range h.Runs {
				b.WriteString(each.cells(r, label))
			}
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	b.WriteString("The best peer is the one of stunnel, pgbouncer and the naive relay with the lowest median. The image\n" +
		"is not measured here.\n\n")
}

// cells are what was seen in one run, and the verdict.
func (b budget) cells(r *report, label string) string {
	seen, ok := b.measure(r, label)
	if !ok {
		return " – | not measured |"
	}
	text := withUnit(seen.median, b.unit)
	if seen.low != seen.high {
		text += " (" + digits(seen.low) + " to " + digits(seen.high) + ")"
	}
	return " " + text + " | " + b.verdict(seen) + " |"
}

// writeFailures lists what could not be measured.
func (r *report) writeFailures(b *strings.Builder) {
	if len(r.Failures) == 0 {
		return
	}
	b.WriteString("## What failed\n\n")
	for _, failure := range r.Failures {
		fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(strings.TrimSpace(failure), "\n", " "))
	}
}
