package turns

import (
	"encoding/binary"
	"math/rand/v2"
)

func message(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

// The messages of a client, for unnamed and named statements and the unnamed portal.
func query(sql string) step { return step{kind: 'Q', body: sql + "\x00"} }

func parse(name, sql string) step { return step{kind: 'P', body: name + "\x00" + sql + "\x00\x00\x00"} }

func bind(statement string) step {
	return step{kind: 'B', body: "\x00" + statement + "\x00\x00\x00\x00\x00\x00\x00"}
}
func describe(what string) step           { return step{kind: 'D', body: what + "\x00"} }
func execute(most byte) step              { return step{kind: 'E', body: "\x00\x00\x00\x00" + string(most)} }
func closeObject(what string) step        { return step{kind: 'C', body: what + "\x00"} }
func data(rows string) step               { return step{kind: 'd', body: rows} }
func done() step                          { return step{kind: 'c', ends: true} }
func fail() step                          { return step{kind: 'f', body: "no\x00", ends: true} }
func flush() step                         { return step{kind: 'H'} }
func synced() step                        { return step{kind: 'S'} }
func (s step) copying() step              { s.copies = true; return s }
func (s step) afterAnswer() step          { s.await = true; return s }
func (s step) atRest() step               { s.rest = true; return s }
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// fastpath calls pg_backend_pid, or nothing.
func fastpath(oid uint32) step {
	return step{kind: 'F', body: string(binary.BigEndian.AppendUint32(nil, oid)) + "\x00\x00\x00\x00\x00\x00"}
}

// randomSteps are legal: a client does not begin a COPY before it knows how it stands, and sends nothing else
// in one.
func randomSteps(r *rand.Rand) (steps []step) {
	steps = append(steps, parse("named", "SELECT 1"), synced())
	for range 3 + r.IntN(10) {
		switch r.IntN(10) {
		case 0, 1, 2:
			steps = append(steps, query(randomSQL(r)))
		case 3, 4, 5:
			steps = append(steps, randomExtended(r)...)
		case 6:
			steps = append(steps, randomCopy(r)...)
		case 7:
			steps = append(steps, randomExtendedCopy(r)...)
		case 8:
			steps = append(steps, pick(r, flush(), closeObject("Snone"), synced(), fastpath(2026),
				fastpath(1), data("junk"), done()))
		case 9:
			steps = append(steps, synced())
		}
	}
	return steps
}

func randomSQL(r *rand.Rand) string {
	return pick(r, "SELECT 1", "", "BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "SELECT 1/0",
		"SELECT generate_series(1, 200)",
		"INSERT INTO rows VALUES (1)", "INSERT INTO once VALUES (1)", "LISTEN turns", "NOTIFY turns",
		"SET application_name = 'x'",
		"COPY (SELECT generate_series(1, 3)) TO STDOUT")
}

func randomExtended(r *rand.Rand) (steps []step) {
	for range 1 + r.IntN(3) {
		statement := ""
		if r.IntN(3) == 0 {
			statement = pick(r, "named", "named", "missing")
		} else {
			steps = append(steps, parse("", randomSQL(r)))
			if r.IntN(3) == 0 {
				steps = append(steps, describe("S"))
			}
		}
		steps = append(steps, bind(statement))
		if r.IntN(2) == 0 {
			steps = append(steps, describe("P"))
		}
		if steps = append(steps, execute(pick(r, byte(0), 0, 1))); r.IntN(6) == 0 {
			steps = append(steps, pick(r, flush(), closeObject("P"), query("SELECT 2")))
		}
	}
	if r.IntN(5) > 0 {
		steps = append(steps, synced())
	}
	return steps
}

func randomData(r *rand.Rand, steps []step) []step {
	for range r.IntN(4) {
		steps = append(steps, pick(r, data("1\n"), data("2\n3\n"), data("4\n"), data("bad\n"), flush(), synced()))
	}
	return steps
}

func randomTable(r *rand.Rand) string { return pick(r, "rows", "rows", "refuse", "once", "missing") }

func randomCopy(r *rand.Rand) []step {
	sql := "COPY " + randomTable(r) + " FROM STDIN"
	if r.IntN(4) == 0 {
		sql += "; SELECT 1"
	}
	steps := []step{synced(), query(sql).atRest().copying()}
	if r.IntN(4) == 0 {
		steps = append(steps, synced())
	}
	from := len(steps)
	steps = append(randomData(r, steps), pick(r, done(), fail()))
	steps[from] = steps[from].afterAnswer()
	return steps
}

// randomExtendedCopy has a Sync behind it, as all drivers do that sent one into it.
func randomExtendedCopy(r *rand.Rand) []step {
	copyIn := parse("", "COPY "+randomTable(r)+" FROM STDIN").atRest()
	steps := []step{synced(), copyIn, bind(""), execute(0).copying()}
	if r.IntN(2) == 0 {
		steps = append(steps, synced())
	} else {
		steps = append(steps, flush())
	}
	from := len(steps)
	steps = append(randomData(r, steps), pick(r, done(), fail()), synced())
	steps[from] = steps[from].afterAnswer()
	return steps
}
