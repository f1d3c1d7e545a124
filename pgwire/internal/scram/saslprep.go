package scram

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

//go:generate go test -count=1 -run=^TestSASLprepTable$ -update

// saslClass is what SASLprep (RFC 4013) does with a code point. Where the tables of RFC 3454 overlap, this
// package does as PostgreSQL does: a zero-width space is a space, and a code point that is mapped is not
// prohibited.
type saslClass uint8

const (
	saslNeutral    saslClass = iota // stays; has no direction of writing
	saslSpace                       // becomes an ASCII space (table C.1.2)
	saslNothing                     // is removed (B.1)
	saslProhibited                  // prohibited (C.1.2 to C.9), or unassigned in Unicode 3.2 (A.1)
	saslRightLeft                   // written from right to left (D.1)
	saslLeftRight                   // written from left to right (D.2)
)

// saslClassBits is the width of the class in an entry of saslRuns.
const saslClassBits = 4

// saslClassOf returns the class of a code point.
func saslClassOf(r rune) saslClass {
	behind, _ := slices.BinarySearch(saslRuns[:], uint32(r+1)<<saslClassBits)
	return saslClass(saslRuns[behind-1] & (1<<saslClassBits - 1))
}

// saslPrepared returns password as PostgreSQL, pgbouncer and libpq hash it: prepared by SASLprep. If SASLprep
// refuses the password, or it is not UTF-8, the result is the password itself. Like these programs, and
// unlike the RFC, it looks for prohibited code points and directions of writing before normalization.
//
// There is one difference: golang.org/x/text splits a letter with more than 30 combining marks.
func saslPrepared(password string) string {
	var mapped strings.Builder
	var first, last saslClass
	var has [saslLeftRight + 1]bool
	for _, r := range password { // invalid UTF-8 reads as U+FFFD, which is prohibited
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
