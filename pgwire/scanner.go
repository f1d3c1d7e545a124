package pgwire

import "encoding/binary"

// messageScanner follows the message boundaries of one direction, on any
// chunking of the stream. It keeps no message.
type messageScanner struct {
	partial [messageHeader]byte
	have    int    // bytes in partial, of a header that is not complete
	left    uint32 // bytes of the present message's body that are still to come
	lost    bool   // the stream is not made of messages
}

// atBoundary reports whether the stream so far ends with a whole message.
func (s *messageScanner) atBoundary() bool { return s.have == 0 && s.left == 0 && !s.lost }

// body returns what follows the present message's body in p.
func (s *messageScanner) body(p []byte) []byte {
	n := min(int64(s.left), int64(len(p)))
	s.left -= uint32(n)
	return p[n:]
}

// header reads the header that p begins with or goes on with, and returns the
// type and what follows. The type is 0 if the header is not complete, or the
// stream is lost.
func (s *messageScanner) header(p []byte) (kind byte, rest []byte) {
	if s.lost {
		return 0, nil
	}
	header := p
	if s.have > 0 || len(p) < messageHeader {
		n := copy(s.partial[s.have:], p)
		if s.have += n; s.have < messageHeader {
			return 0, nil
		}
		header, p = s.partial[:], p[n:]
		s.have = 0
	} else {
		p = p[messageHeader:]
	}
	size := binary.BigEndian.Uint32(header[1:])
	if s.lost = size < messageHeader-1; s.lost {
		return 0, nil
	}
	s.left = size - (messageHeader - 1)
	return header[0], p
}
