package resolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// payload is the size of an answer by UDP that passes everywhere in one packet. Package net asks for it, too.
	payload = 1232
	// maxPacket is the size of an answer by UDP that is read.
	maxPacket = 4096
	// maxStrays is how many packets may come by UDP that do not belong to a question. If there are more, somebody
	// guesses, and TCP is used instead.
	maxStrays = 16
)

// refusal is the code of a server that gives no answer.
type refusal dnsmessage.RCode

func (r refusal) Error() string {
	switch dnsmessage.RCode(r) { //nolint:exhaustive // a number is enough for the rest
	case dnsmessage.RCodeServerFailure:
		return "it answered SERVFAIL"
	case dnsmessage.RCodeRefused:
		return "it answered REFUSED"
	case dnsmessage.RCodeFormatError:
		return "it answered FORMERR"
	case dnsmessage.RCodeNotImplemented:
		return "it answered NOTIMP"
	}
	return fmt.Sprintf("it answered with code %d", uint16(r))
}

var (
	errStray   = errors.New("it answered another question")
	errMessage = errors.New("its answer cannot be read")
	errLame    = errors.New("it has no answer, and does not ask other servers for one")
	errName    = errors.New("the name cannot be asked for")
)

// isAnswered reports whether err came of what a server said. Otherwise it said nothing.
func isAnswered(err error) bool {
	return errors.As(err, new(refusal)) || errors.Is(err, errStray) || errors.Is(err, errMessage) ||
		errors.Is(err, errLame)
}

// reasonOf words a failure. Nothing in the text is from a server.
func reasonOf(err error) string {
	var code refusal
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &code):
		return code.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	for _, known := range []error{errStray, errMessage, errLame, errName} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "no answer"
}

// exchange asks one server. It asks again by TCP if the answer does not fit into a packet, and without EDNS if the
// server does not know that.
func (r *Resolver) exchange(ctx context.Context, c conf, server string, q dnsmessage.Question) (answer, error) {
	edns, tcp := true, c.tcp
	for {
		a, err := r.roundTrip(ctx, c.timeout, server, q, edns, tcp)
		switch {
		case !tcp && (errors.Is(err, errStray) || err == nil && a.truncated):
			tcp = true
		case err == nil && edns && (a.code == dnsmessage.RCodeFormatError || a.code == dnsmessage.RCodeNotImplemented):
			edns = false
		case err != nil:
			return answer{}, err
		default:
			return a, a.problem()
		}
	}
}

// roundTrip sends one question over a connection of its own and reads the answer.
func (r *Resolver) roundTrip(ctx context.Context, timeout time.Duration, server string, q dnsmessage.Question,
	edns, tcp bool,
) (answer, error) {
	network := "udp"
	if tcp {
		network = "tcp"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := r.dial(ctx, network, server)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	id := newID()
	question, err := pack(id, q, edns)
	if err != nil {
		return answer{}, errName
	}
	if tcp {
		return overTCP(conn, question, id, q)
	}
	return overUDP(conn, question, id, q)
}

// newID returns a number that nobody can guess.
func newID() uint16 {
	var id [2]byte
	_, _ = rand.Read(id[:]) // never fails
	return binary.BigEndian.Uint16(id[:])
}

// pack returns the message of a question, behind two bytes for its length.
func pack(id uint16, q dnsmessage.Question, edns bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 512), dnsmessage.Header{ID: id, RecursionDesired: true})
	b.EnableCompression()
	err := errors.Join(b.StartQuestions(), b.Question(q))
	if edns {
		var option dnsmessage.ResourceHeader
		err = errors.Join(err, option.SetEDNS0(payload, dnsmessage.RCodeSuccess, false), b.StartAdditionals(),
			b.OPTResource(option, dnsmessage.OPTResource{}))
	}
	message, more := b.Finish()
	if err = errors.Join(err, more); err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	return message, nil
}

// overUDP leaves out packets that do not belong to the question: anybody may send them.
func overUDP(conn net.Conn, question []byte, id uint16, q dnsmessage.Question) (answer, error) {
	if _, err := conn.Write(question[2:]); err != nil {
		return answer{}, err
	}
	packet := make([]byte, maxPacket)
	for range maxStrays {
		n, err := conn.Read(packet)
		if err != nil {
			return answer{}, err
		}
		if a, err := readAnswer(packet[:n], id, q); !errors.Is(err, errStray) {
			return a, err
		}
	}
	return answer{}, errStray
}

func overTCP(conn net.Conn, question []byte, id uint16, q dnsmessage.Question) (answer, error) {
	if _, err := conn.Write(question); err != nil {
		return answer{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return answer{}, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return answer{}, err
	}
	return readAnswer(message, id, q)
}
