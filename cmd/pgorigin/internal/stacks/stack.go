package stacks

import "slices"

// TLS versions, as the record layer writes them.
const (
	TLS10 uint16 = 0x0301
	TLS11 uint16 = 0x0302
	TLS12 uint16 = 0x0303
	TLS13 uint16 = 0x0304
)

// Suites is a kind of cipher suite of TLS 1.2 and older.
type Suites string

// The kinds, by key exchange and cipher.
const (
	AEAD Suites = "ECDHE with AES-GCM or ChaCha20"
	CBC  Suites = "ECDHE with AES-CBC"
	DHE  Suites = "DHE"
	RSA  Suites = "RSA key exchange"
)

// Stack is a TLS stack, as applications use it by default.
type Stack struct {
	Name     string // "rustls with ring"
	Versions string // for which the row holds
	Drivers  string // who uses it to connect to Postgres

	TLS    []uint16 // versions that it offers
	Suites []Suites // that it offers in TLS 1.2 and older
	Groups []string // key-exchange groups that it offers
	Hello  int      // size of its ClientHello in bytes, with a name of 16 characters; zero if not known

	Measured string // the exact version that test/stacks measured; empty if everything is reported
	Source   string // of what it offers, unless Measured

	Cells map[Cause]Cell // what becomes of each cause
}

// Verdict says whether a stack connects.
type Verdict string

// The verdicts.
const (
	Connects Verdict = "connects"
	Fails    Verdict = "fails"
	Unknown  Verdict = "unknown"
)

// Cell says what a stack makes of a cause.
type Cell struct {
	Verdict Verdict
	Words   string // that users of the application read; empty if they are not known
	Source  string // an address; empty if test/stacks measured it
}

// Evidence says how the cell was got: "measured" or "reported".
func (c Cell) Evidence() string {
	if c.Source == "" {
		return "measured"
	}
	return "reported"
}

// fails is a cell that test/stacks measured.
func fails(words string) Cell { return Cell{Verdict: Fails, Words: words} }

// reported is a cell that source reports.
func reported(words, source string) Cell { return Cell{Verdict: Fails, Words: words, Source: source} }

// connects is a cell in which source reports that the cause does not matter.
func connects(source string) Cell { return Cell{Verdict: Connects, Source: source} }

// cell returns what k makes of cause.
func (k *Stack) cell(cause Cause) Cell {
	if cell, ok := k.Cells[cause]; ok {
		return cell
	}
	if k.Measured != "" && slices.Contains(suiteCauses(), cause) {
		return Cell{Verdict: Connects}
	}
	return Cell{Verdict: Unknown}
}

// Sizes of ClientHellos that are not known exactly.
const (
	atMostClassical = 600  // of one with classical key shares
	atLeastHybrid   = 1440 // of one with a post-quantum key share, which has 1216 bytes
)

// hello returns the size of the ClientHello, as far as it is known.
func (k *Stack) hello() int {
	switch {
	case k.Hello > 0:
		return k.Hello
	case slices.Contains(k.Groups, "X25519MLKEM768"):
		return atLeastHybrid
	}
	return atMostClassical
}
