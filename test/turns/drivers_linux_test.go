package turns

import "slices"

type driver struct {
	name  string
	steps []step
}

// drivers are the sequences that drivers send, written by hand after their sources: tokio-postgres 0.7, psycopg 3 with
// libpq's pipeline mode, pgjdbc 42 and Npgsql 8. Values and names are ours; kinds and order of the messages are theirs.
func drivers() []driver {
	prepare := func(name, sql string) []step { return []step{parse(name, sql), describe("S" + name), synced()} }
	run := func(name string) []step { return []step{bind(name), execute(0), synced()} }
	direct := func(sql string) []step { return []step{parse("", sql), bind(""), describe("P"), execute(0)} }
	// tokio-postgres sends a Sync with the Execute of a COPY, and another one behind its end.
	tokioCopy := func(end step, rows ...step) []step {
		steps := slices.Concat([]step{bind("c").atRest(), execute(0).copying(), synced()}, rows, []step{end, synced()})
		steps[3] = steps[3].afterAnswer()
		return steps
	}
	// libpq does the same in PQexecParams, one message at a time.
	jdbcCopy := func(end step, rows ...step) []step {
		steps := slices.Concat([]step{query("COPY rows FROM STDIN").atRest().copying()}, rows, []step{end})
		steps[1] = steps[1].afterAnswer()
		return steps
	}
	copyIn := prepare("c", "COPY rows FROM STDIN")
	return []driver{
		{"tokio-postgres", slices.Concat(prepare("s0", "SELECT 1"), run("s0"), run("s0"), []step{query("BEGIN")}, run("s0"),
			[]step{query("COMMIT"), closeObject("Ss0"), synced()})},
		{"tokio-postgres, COPY", slices.Concat(copyIn, tokioCopy(done(), data("1\n"), data("2\n")), run("c")[:0], prepare("s0", "SELECT 1"), run("s0"))},
		{"tokio-postgres, COPY given up", slices.Concat(copyIn, tokioCopy(fail(), data("1\n")))},
		{"tokio-postgres, COPY given up, then on", slices.Concat(copyIn, tokioCopy(fail(), data("1\n")), prepare("s0", "SELECT 1"), run("s0"), run("s0"))},
		{"tokio-postgres, COPY with a bad row", slices.Concat(copyIn, tokioCopy(done(), data("bad\n"), data("2\n")))},
		{"tokio-postgres, COPY refused", slices.Concat(prepare("c", "COPY refuse FROM STDIN"), tokioCopy(done(), data("1\n")), prepare("s0", "SELECT 1"), run("s0"))},
		{"tokio-postgres, pipelined", slices.Concat(prepare("s0", "SELECT 1"), run("s0"), run("s0"), run("s0"), run("missing"), run("s0"))},
		{"psycopg, pipeline", slices.Concat(direct("BEGIN"), direct("INSERT INTO rows VALUES (1)"), []step{flush()}, direct("SELECT 1"),
			[]step{synced()}, direct("COMMIT"), []step{synced()})},
		{"psycopg, pipeline that fails", slices.Concat(direct("BEGIN"), direct("SELECT 1/0"), direct("SELECT 1"), []step{flush(), synced()},
			direct("ROLLBACK"), []step{synced()})},
		{"psycopg, pipeline, prepared", slices.Concat([]step{parse("_pg3_0", "SELECT 1")}, []step{bind("_pg3_0"), describe("P"), execute(0), flush(),
			bind("_pg3_0"), describe("P"), execute(0), synced()}, []step{closeObject("S_pg3_0"), synced()})},
		{"psycopg, COPY", slices.Concat(prepare("", "SELECT 1"), jdbcCopy(fail(), data("1\n")), jdbcCopy(done(), data("1\n")))},
		{"pgjdbc", slices.Concat(direct("BEGIN"), direct("SELECT 1"), []step{synced()}, direct("SELECT 2"), []step{synced()}, direct("COMMIT"), []step{synced()})},
		{"pgjdbc, batch", slices.Concat([]step{parse("S_1", "INSERT INTO rows VALUES (1)"), bind("S_1"), describe("P"), execute(1)},
			[]step{bind("S_1"), execute(1), bind("S_1"), execute(1), synced()}, []step{closeObject("SS_1"), bind(""), execute(0), synced()})},
		{"pgjdbc, cursor", slices.Concat(direct("BEGIN"), []step{parse("S_2", "SELECT generate_series(1, 5)"), bind("S_2"), describe("P"), execute(2), synced(),
			execute(2), synced(), closeObject("P"), synced()}, direct("ROLLBACK"), []step{synced()})},
		{"pgjdbc, COPY", slices.Concat(jdbcCopy(done(), data("1\n")), jdbcCopy(done(), data("bad\n")), jdbcCopy(fail(), data("1\n")), []step{query("SELECT 1")})},
		{"Npgsql", slices.Concat([]step{query("BEGIN")}, direct("SELECT 1"), []step{synced()}, []step{query("COMMIT")},
			[]step{query("DISCARD ALL")}, direct("SELECT 1"), []step{synced()})},
		{"Npgsql, batch", slices.Concat(direct("SELECT 1"), direct("SELECT 2"), direct("SELECT 1/0"), direct("SELECT 3"), []step{synced()}, direct("SELECT 1"), []step{synced()})},
		{"Npgsql, prepared", slices.Concat([]step{parse("_p1", "SELECT 1"), describe("S_p1"), synced()}, run("_p1"), run("_p1"), []step{closeObject("S_p1"), synced()})},
		{"Npgsql, COPY", slices.Concat(jdbcCopy(done(), data("1\n2\n")), jdbcCopy(fail(), data("1\n")))},
	}
}
