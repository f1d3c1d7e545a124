package pgwire

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// maxHandshakeText bounds the text of an error of StartTLS, which may have something of the client in it.
const maxHandshakeText = 160

// isLocal reports whether the client is on a Unix socket, where there is no TLS.
func (s *session) isLocal() bool {
	_, local := s.client.socket.LocalAddr().(*net.UnixAddr)
	return local
}

// startTLS puts the client's leg inside TLS. ahead has been read already.
func (s *session) startTLS(ahead []byte) error {
	conn := s.client.socket
	if len(ahead) > 0 {
		conn = &aheadConn{Conn: conn, ahead: ahead}
	}
	secured, err := s.server.StartTLS(conn, len(ahead) > 0)
	if err != nil {
		return handshakeError(err)
	}
	s.client.secure(secured)
	if c, ok := secured.(interface{ TLSVersion() string }); ok {
		s.info.TLS = c.TLSVersion()
	}
	return nil
}

// handshakeError describes an error of StartTLS. The client gets no answer: it would be in plaintext, in the
// middle of a handshake.
func handshakeError(err error) error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return &Error{Kind: ReasonClientGone, Text: "the client left during the TLS handshake", Err: err}
	}
	return HandshakeRefused(sanitizeText(err.Error(), maxHandshakeText))
}

// HandshakeRefused returns why a session ends when one side refused the TLS handshake with the client. It is for
// StartTLS. why must be fit for a log line.
func HandshakeRefused(why string) *Error {
	return &Error{
		Kind: ReasonClientProtocol, Case: CaseHandshake,
		Text: "the TLS handshake with the client failed: " + why,
	}
}

// ListenerDistrusted is HandshakeRefused for a client that does not trust the certificate which it was shown.
func ListenerDistrusted(alert string) *Error {
	return &Error{
		Kind: ReasonClientProtocol, Case: CaseDistrusted,
		Text: "the client refused the certificate of this listener with " + alert,
	}
}

// aheadConn is a connection of which something has been read already.
type aheadConn struct {
	net.Conn
	ahead []byte
}

// Read implements net.Conn.
func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// CloseWrite ends the stream in one direction, if the connection can do that.
func (c *aheadConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
