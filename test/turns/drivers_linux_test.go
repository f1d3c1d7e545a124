package turns

import "slices"

type driver struct {
	name  string
	steps []step
}

// drivers are the sequences that drivers send: tokio-postgres 0.7, psycopg 3 with libpq's pipeline mode,
// pgjdbc 42 and Npgsql 8. They are written by hand after the drivers' sources. Statements and names are ours;
// kinds and order of the messages are theirs.
func drivers() []driver {
	return slices.Concat(tokioPostgres(), psycopg(), pgjdbc(), npgsql())
}

func prepare(name, sql string) []step {
	return []step{parse(name, sql), describe("S" + name), synced()}
}
func run(name string) []step   { return []step{bind(name), execute(0), synced()} }
func direct(sql string) []step { return []step{parse("", sql), bind(""), describe("P"), execute(0)} }

// queryCopy is a COPY by a simple Query.
func queryCopy(end step, rows ...step) []step {
	steps := slices.Concat([]step{query("COPY rows FROM STDIN").atRest().copying()}, rows, []step{end})
	steps[1] = steps[1].afterAnswer()
	return steps
}

// tokioPostgres sends a Sync with the Execute of a COPY, and another one behind its end. So does libpq.
func tokioPostgres() []driver {
	copyIn := func(table string, end step, rows ...step) []step {
		begin := []step{bind("c").atRest(), execute(0).copying(), synced()}
		rows = append(slices.Clone(rows), end, synced())
		rows[0] = rows[0].afterAnswer()
		return slices.Concat(prepare("c", "COPY "+table+" FROM STDIN"), begin, rows)
	}
	s0 := prepare("s0", "SELECT 1")
	again := slices.Concat(s0, run("s0"), run("s0"))
	closed := []step{closeObject("Ss0"), synced()}
	begin, commit := []step{query("BEGIN")}, []step{query("COMMIT")}
	return []driver{
		{"tokio-postgres", slices.Concat(again, begin, run("s0"), commit, closed)},
		{"tokio-postgres, COPY", slices.Concat(copyIn("rows", done(), data("1\n"), data("2\n")), again)},
		{"tokio-postgres, COPY given up", copyIn("rows", fail(), data("1\n"))},
		{"tokio-postgres, COPY given up, then on", slices.Concat(copyIn("rows", fail(), data("1\n")), again)},
		{"tokio-postgres, COPY with a bad row", copyIn("rows", done(), data("bad\n"), data("2\n"))},
		{"tokio-postgres, COPY refused", slices.Concat(copyIn("refuse", done(), data("1\n")), again)},
		{"tokio-postgres, pipelined", slices.Concat(again, run("s0"), run("missing"), run("s0"))},
	}
}

func psycopg() []driver {
	flushed, sync := []step{flush()}, []step{synced()}
	named := []step{bind("_pg3_0"), describe("P"), execute(0)}
	return []driver{
		{"psycopg, pipeline", slices.Concat(direct("BEGIN"), direct("INSERT INTO rows VALUES (1)"), flushed,
			direct("SELECT 1"), sync, direct("COMMIT"), sync)},
		{"psycopg, pipeline that fails", slices.Concat(direct("BEGIN"), direct("SELECT 1/0"), direct("SELECT 1"),
			flushed, sync, direct("ROLLBACK"), sync)},
		{"psycopg, pipeline, prepared", slices.Concat([]step{parse("_pg3_0", "SELECT 1")}, named, flushed,
			named, sync, []step{closeObject("S_pg3_0"), synced()})},
		{"psycopg, COPY", slices.Concat(queryCopy(fail(), data("1\n")), queryCopy(done(), data("1\n")))},
	}
}

func pgjdbc() []driver {
	sync := []step{synced()}
	insert := []step{bind("S_1"), execute(1)}
	return []driver{
		{"pgjdbc", slices.Concat(direct("BEGIN"), direct("SELECT 1"), sync, direct("SELECT 2"), sync,
			direct("COMMIT"), sync)},
		{"pgjdbc, batch", slices.Concat([]step{parse("S_1", "INSERT INTO rows VALUES (1)")}, insert, insert,
			insert, sync, []step{closeObject("SS_1")}, direct("SELECT 1"), sync)},
		{"pgjdbc, cursor", slices.Concat(direct("BEGIN"),
			[]step{parse("S_2", "SELECT generate_series(1, 5)"), bind("S_2"), describe("P"), execute(2)}, sync,
			[]step{execute(2)}, sync, []step{closeObject("P")}, sync, direct("ROLLBACK"), sync)},
		{"pgjdbc, COPY", slices.Concat(queryCopy(done(), data("1\n")), queryCopy(done(), data("bad\n")),
			queryCopy(fail(), data("1\n")), []step{query("SELECT 1")})},
	}
}

func npgsql() []driver {
	sync := []step{synced()}
	return []driver{
		{"Npgsql", slices.Concat([]step{query("BEGIN")}, direct("SELECT 1"), sync, []step{query("COMMIT")},
			[]step{query("DISCARD ALL")}, direct("SELECT 1"), sync)},
		{"Npgsql, batch", slices.Concat(direct("SELECT 1"), direct("SELECT 2"), direct("SELECT 1/0"),
			direct("SELECT 3"), sync, direct("SELECT 1"), sync)},
		{"Npgsql, prepared", slices.Concat(prepare("_p1", "SELECT 1"), run("_p1"), run("_p1"),
			[]step{closeObject("S_p1")}, sync)},
		{"Npgsql, COPY", slices.Concat(queryCopy(done(), data("1\n2\n")), queryCopy(fail(), data("1\n")))},
	}
}
