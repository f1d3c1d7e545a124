package stacks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Prediction says what becomes of a stack at a server.
type Prediction struct {
	Stack   *Stack
	Verdict Verdict
	Reasons []Reason // why it fails, or why nobody knows; none if it connects
}

// Reason is one cause with what is known of it.
type Reason struct {
	Trait
	Cell
}

// Trait is a cause that a server has, and its sentence about this server.
type Trait struct {
	Cause Cause  `json:"cause"`
	Text  string `json:"text"`
}

// Predict returns what becomes of stack at server. If one cause breaks the stack, causes that are not known
// do not matter.
func Predict(server *Server, stack *Stack) Prediction {
	var failing, unknown []Reason
	note := func(t Trait, cell Cell) {
		switch cell.Verdict {
		case Connects:
		case Fails:
			failing = append(failing, Reason{t, cell})
		case Unknown:
			unknown = append(unknown, Reason{t, cell})
		}
	}
	if cell, ok := stack.Cells[Always]; ok {
		return Prediction{stack, Fails, []Reason{{Trait{Always, "it fails with every server"}, cell}}}
	}
	if t, verdict := server.disagreement(stack); verdict != Connects {
		cell := stack.Cells[t.Cause] // only its words matter: the rest is computed
		if cell.Source == "" && stack.Measured == "" {
			cell.Source = stack.Source
		}
		cell.Verdict = verdict
		note(t, cell)
	}
	for _, t := range server.Traits() {
		note(t, stack.cell(t.Cause))
	}
	switch {
	case len(failing) > 0:
		return Prediction{stack, Fails, failing}
	case len(unknown) > 0:
		return Prediction{stack, Unknown, unknown}
	}
	return Prediction{Stack: stack, Verdict: Connects}
}

// disagreement returns why the handshake cannot agree on a version, a cipher or a group, or why its first
// message may not arrive. What the server was not asked does not count.
func (s *Server) disagreement(k *Stack) (Trait, Verdict) {
	version := s.version(k.TLS)
	switch {
	case s.LostHello > 0 && k.hello() >= s.LostHello:
		return Trait{HelloLost, s.lost()}, Fails
	case s.LostHello > 0 && k.hello() > s.GoodHello:
		return Trait{HelloLost, s.lost()}, Unknown
	case version == 0 && !s.takesSome():
		return Trait{NoCommonVersion, "the server takes none of the ClientHellos that were tried"}, Unknown
	case version == 0:
		return Trait{NoCommonVersion, "the server takes only " + names(s.Versions, versionName)}, Fails
	case version < TLS12: // cipher suites and groups were not tried with it
	case version < TLS13 && !takesAny(s.Suites, k.Suites):
		return Trait{NoCommonCipher, "in TLS 1.2, the server takes only " + names(s.Suites, asIs)}, Fails
	case !takesAny(s.Groups, k.Groups) && (version == TLS13 || !takesAny(s.Suites, withoutGroups(k.Suites))):
		return Trait{
			NoCommonGroup, "of the key-exchange groups, the server takes only " + names(s.Groups, asIs),
		}, Fails
	}
	return Trait{}, Connects
}

func (s *Server) lost() string {
	return fmt.Sprintf("a ClientHello of %d bytes gets no answer, and one of %d bytes does",
		s.LostHello, s.GoodHello)
}

// version returns the highest version that both have, and zero if the server takes none of offered.
func (s *Server) version(offered []uint16) uint16 {
	highest := uint16(0)
	for _, v := range offered {
		if takes, asked := s.Versions[v]; takes || !asked {
			highest = max(highest, v)
		}
	}
	return highest
}

// takesSome reports whether the server takes any TLS version that was tried.
func (s *Server) takesSome() bool {
	for _, takes := range s.Versions {
		if takes {
			return true
		}
	}
	return false
}

// takesAny reports whether the server may take one of offered.
func takesAny[K comparable](asked map[K]bool, offered []K) bool {
	return slices.ContainsFunc(offered, func(k K) bool {
		takes, known := asked[k]
		return takes || !known
	})
}

// withoutGroups returns the kinds of suites that need no elliptic curve.
func withoutGroups(offered []Suites) []Suites {
	return slices.DeleteFunc(slices.Clone(offered), func(s Suites) bool { return s == AEAD || s == CBC })
}

// names lists what was asked and taken.
func names[K uint16 | string | Suites](asked map[K]bool, name func(K) string) string {
	var taken []string
	for _, k := range slices.Sorted(maps.Keys(asked)) {
		if asked[k] {
			taken = append(taken, name(k))
		}
	}
	if taken == nil {
		return "others"
	}
	return strings.Join(taken, ", ")
}

func asIs[K string | Suites](k K) string { return string(k) }

func versionName(v uint16) string { return fmt.Sprintf("TLS 1.%d", v-TLS10) }
