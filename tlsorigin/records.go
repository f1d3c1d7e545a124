package tlsorigin

import "encoding/binary"

const (
	recordHeader = 5       // RFC 8446, section 5.1: type, version, length
	maxPlaintext = 1 << 14 // of one record
)

// recordBounds follows the boundaries of the records that TLS gets, in pieces of any size.
type recordBounds struct {
	header [recordHeader]byte
	have   int // bytes of header so far, of a record whose body has not begun
	left   int // bytes of the body of the present record that are still to come
}

// within returns how many bytes of p belong to the record that is under way or begins with p.
func (r *recordBounds) within(p []byte) int {
	if r.left > 0 {
		return min(r.left, len(p))
	}
	if r.have+len(p) < recordHeader {
		return len(p)
	}
	var header [recordHeader]byte
	copy(header[:], r.header[:r.have])
	n := copy(header[r.have:], p)
	return n + min(bodyLength(header), len(p)-n)
}

// passed notes that TLS got p.
func (r *recordBounds) passed(p []byte) {
	for len(p) > 0 {
		if n := min(r.left, len(p)); n > 0 {
			r.left -= n
			p = p[n:]
			continue
		}
		n := copy(r.header[r.have:], p)
		p = p[n:]
		if r.have += n; r.have == recordHeader {
			r.have, r.left = 0, bodyLength(r.header)
		}
	}
}

func bodyLength(header [recordHeader]byte) int { return int(binary.BigEndian.Uint16(header[3:])) }
