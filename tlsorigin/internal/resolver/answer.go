package resolver

import (
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// maxRecords is how many records of an answer are read. The rest is left out.
const maxRecords = 256

// answer is what a message says.
type answer struct {
	code      dnsmessage.RCode
	truncated bool
	lame      bool // the server neither knows nor asks others
	exists    bool // whether the name exists
	addrs     []netip.Addr
}

// problem returns why a is no answer.
func (a *answer) problem() error {
	switch {
	case a.lame:
		return errLame
	case a.code != dnsmessage.RCodeSuccess && a.code != dnsmessage.RCodeNameError:
		return refusal(a.code)
	}
	return nil
}

// records are the useful ones of a message, by the name of their owner in lower case.
type records struct {
	addrs   map[string][]netip.Addr
	aliases map[string]string
}

// readAnswer reads a message. The error is errStray if it does not belong to q, and errMessage if it does and
// cannot be read.
func readAnswer(message []byte, id uint16, q dnsmessage.Question) (answer, error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || header.ID != id || !header.Response {
		return answer{}, errStray
	}
	a := answer{code: header.RCode, truncated: header.Truncated}
	questions, err := p.AllQuestions()
	if a.code == dnsmessage.RCodeFormatError && err == nil && len(questions) == 0 {
		return a, nil // some servers do not repeat what they cannot read
	}
	if err != nil || len(questions) != 1 || !sameQuestion(questions[0], q) {
		return answer{}, errStray
	}
	if a.truncated || a.code != dnsmessage.RCodeSuccess {
		return a, nil
	}
	found, n, err := readRecords(&p, q.Type)
	if err != nil {
		return answer{}, errMessage
	}
	a.addrs = found.follow(q.Name.String())
	a.exists = true
	a.lame = n == 0 && !header.Authoritative && !header.RecursionAvailable
	return a, nil
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name.String(), b.Name.String())
}

// readRecords reads the answers of a message, and returns how many there are.
func readRecords(p *dnsmessage.Parser, kind dnsmessage.Type) (records, int, error) {
	found := records{map[string][]netip.Addr{}, map[string]string{}}
	for n := range maxRecords {
		header, err := p.AnswerHeader()
		if err == dnsmessage.ErrSectionDone { //nolint:errorlint // as documented
			return found, n, nil
		}
		if err != nil {
			return found, n, err
		}
		owner := strings.ToLower(header.Name.String())
		switch {
		case header.Class != dnsmessage.ClassINET:
			err = p.SkipAnswer()
		case header.Type == dnsmessage.TypeCNAME:
			var r dnsmessage.CNAMEResource
			r, err = p.CNAMEResource()
			found.aliases[owner] = strings.ToLower(r.CNAME.String())
		case header.Type == kind && kind == dnsmessage.TypeA:
			var r dnsmessage.AResource
			r, err = p.AResource()
			found.addrs[owner] = append(found.addrs[owner], netip.AddrFrom4(r.A))
		case header.Type == kind && kind == dnsmessage.TypeAAAA:
			var r dnsmessage.AAAAResource
			r, err = p.AAAAResource()
			found.addrs[owner] = append(found.addrs[owner], netip.AddrFrom16(r.AAAA))
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return found, n, err
		}
	}
	return found, maxRecords, nil
}

// follow returns the addresses of name, or of the name that it stands for. The order of records means nothing:
// some servers put a CNAME behind what it leads to. As in libc, a chain of CNAMEs may be as long as the answer.
func (r *records) follow(name string) []netip.Addr {
	name = strings.ToLower(name)
	for range len(r.aliases) + 1 { // a chain without an end leads in a circle
		if addrs := r.addrs[name]; addrs != nil {
			return addrs
		}
		next, ok := r.aliases[name]
		if !ok {
			break
		}
		name = next
	}
	return nil
}
