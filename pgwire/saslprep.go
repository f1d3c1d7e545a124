package pgwire

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

//go:generate go test -count=1 -run=^TestSASLprepTable$ -update

// saslClass is what SASLprep (RFC 4013) does with a code point. Where the tables of RFC 3454 overlap, PostgreSQL decides:
// a zero-width space is a space, and what is mapped is not prohibited.
type saslClass uint8

const (
	saslNeutral    saslClass = iota // stays, and goes with either direction of writing
	saslSpace                       // becomes an ASCII space (table C.1.2)
	saslNothing                     // is left out (B.1)
	saslProhibited                  // prohibited (C.1.2 to C.9), or unassigned in Unicode 3.2 (A.1)
	saslRightLeft                   // written from right to left (D.1)
	saslLeftRight                   // written from left to right (D.2)
)

// saslClassBits is the width of the class in an entry of saslRuns.
const saslClassBits = 4

// saslClassOf looks a code point up.
func saslClassOf(r rune) saslClass {
	behind, _ := slices.BinarySearch(saslRuns[:], uint32(r+1)<<saslClassBits)
	return saslClass(saslRuns[behind-1] & (1<<saslClassBits - 1))
}

// saslPrepared returns password as PostgreSQL, pgbouncer and libpq hash it: prepared by SASLprep, or as it is where
// SASLprep refuses it, bytes that are no UTF-8 included. It keeps to what they do and not to the letter of the RFC: what
// is prohibited, and the directions of writing, they look up before normalization.
//
// One thing differs: golang.org/x/text breaks up more than 30 combining marks on one letter.
func saslPrepared(password string) string {
	var mapped strings.Builder
	var first, last saslClass
	var has [saslLeftRight + 1]bool
	for _, r := range password { // a byte that is no UTF-8 reads as U+FFFD, which is prohibited
		class := saslClassOf(r)
		switch class {
		case saslProhibited:
			return password
		case saslNothing:
			continue
		case saslSpace:
			r, class = ' ', saslNeutral
		case saslNeutral, saslRightLeft, saslLeftRight: // stay
		}
		if mapped.Len() == 0 {
			first = class
		}
		last, has[class] = class, true
		mapped.WriteRune(r)
	}
	mixed := has[saslRightLeft] && (has[saslLeftRight] || first != saslRightLeft || last != saslRightLeft)
	if mapped.Len() == 0 || mixed {
		return password
	}
	return norm.NFKC.String(mapped.String())
}
