package diagnose

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// clientHello describes a ClientHello that crypto/tls would not send. It only asks what a server takes. No
// handshake follows its answer.
type clientHello struct {
	serverName string                // empty means no SNI
	versions   []uint16              // the highest first
	suites     []uint16              //
	groups     []tls.CurveID         //
	shares     []tls.CurveID         // those of groups with a key share, in TLS 1.3
	signatures []tls.SignatureScheme // nil means usualSignatures
	protocol   string                // ALPN; empty means none
	size       int                   // in bytes, at least; padding fills it up

	certificates bool // read them, too; only TLS 1.2 sends them in the clear
}

// Numbers of RFC 8446 and others that package tlsorigin does not need.
const (
	extensionServerName  = 0
	extensionGroups      = 10
	extensionPoints      = 11
	extensionSignatures  = 13
	extensionALPN        = 16
	extensionPadding     = 21
	extensionEMS         = 23
	extensionVersions    = 43
	extensionKeyShare    = 51
	extensionRenegotiate = 0xff01

	recordHandshake = 22
	recordAlert     = 21
	typeClientHello = 1
	typeServerHello = 2
	typeCertificate = 11
)

// usualSignatures are those for every key that a server may have, ML-DSA excepted.
func usualSignatures() []tls.SignatureScheme {
	return []tls.SignatureScheme{
		tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512, tls.Ed25519,
		tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512,
		pssKeyWithSHA256, pssKeyWithSHA384, pssKeyWithSHA512,
		tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512, tls.ECDSAWithSHA1, tls.PKCS1WithSHA1,
	}
}

// without returns the usual signatures without some.
func without(some ...tls.SignatureScheme) []tls.SignatureScheme {
	return slices.DeleteFunc(usualSignatures(), func(s tls.SignatureScheme) bool {
		return slices.Contains(some, s)
	})
}

// Signatures that crypto/tls does not know: of keys that are for RSASSA-PSS alone, and post-quantum ones.
const (
	pssKeyWithSHA256 tls.SignatureScheme = 0x0809
	pssKeyWithSHA384 tls.SignatureScheme = 0x080a
	pssKeyWithSHA512 tls.SignatureScheme = 0x080b
	mldsa44          tls.SignatureScheme = 0x0904
	mldsa65          tls.SignatureScheme = 0x0905
	mldsa87          tls.SignatureScheme = 0x0906
)

// marshal returns the hello in its record.
func (h *clientHello) marshal() ([]byte, error) {
	record, err := h.record(0)
	if short := h.size - len(record); err == nil && short > 0 {
		record, err = h.record(max(short, 4)) // the header of an extension has 4 bytes
	}
	return record, err
}

// record returns the hello with an extension of so many bytes that means nothing.
func (h *clientHello) record(padding int) ([]byte, error) {
	shares, err := h.keyShares()
	if err != nil {
		return nil, err
	}
	random := make([]byte, 64) // and a session ID, as middleboxes expect
	_, _ = rand.Read(random)   // never fails
	legacy := min(h.versions[0], tls.VersionTLS12)
	var b cryptobyte.Builder
	b.AddUint8(recordHandshake)
	b.AddUint16(tls.VersionTLS10)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(typeClientHello)
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(legacy)
			b.AddBytes(random[:32])
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(random[32:]) })
			b.AddUint16LengthPrefixed(addUint16s(h.suites))
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) }) // no compression
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { h.addExtensions(b, shares, padding) })
		})
	})
	return b.Bytes()
}

func addUint16s[T ~uint16](values []T) cryptobyte.BuilderContinuation {
	return func(b *cryptobyte.Builder) {
		for _, v := range values {
			b.AddUint16(uint16(v))
		}
	}
}

func (h *clientHello) addExtensions(b *cryptobyte.Builder, shares [][]byte, padding int) {
	extension := func(kind uint16, content cryptobyte.BuilderContinuation) {
		b.AddUint16(kind)
		b.AddUint16LengthPrefixed(content)
	}
	list := func(content cryptobyte.BuilderContinuation) cryptobyte.BuilderContinuation {
		return func(b *cryptobyte.Builder) { b.AddUint16LengthPrefixed(content) }
	}
	if h.serverName != "" {
		extension(extensionServerName, list(func(b *cryptobyte.Builder) {
			b.AddUint8(0) // host_name
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.serverName)) })
		}))
	}
	extension(extensionGroups, list(addUint16s(h.groups)))
	extension(extensionPoints, func(b *cryptobyte.Builder) { b.AddBytes([]byte{1, 0}) })
	extension(extensionEMS, func(*cryptobyte.Builder) {})
	extension(extensionRenegotiate, func(b *cryptobyte.Builder) { b.AddUint8(0) })
	signatures := h.signatures
	if signatures == nil {
		signatures = usualSignatures()
	}
	extension(extensionSignatures, list(addUint16s(signatures)))
	if h.protocol != "" {
		extension(extensionALPN, list(func(b *cryptobyte.Builder) {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(h.protocol)) })
		}))
	}
	if h.offersTLS13() {
		extension(extensionVersions, func(b *cryptobyte.Builder) {
			b.AddUint8LengthPrefixed(addUint16s(h.versions))
		})
		extension(extensionKeyShare, list(func(b *cryptobyte.Builder) {
			for i, group := range h.shares {
				b.AddUint16(uint16(group))
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(shares[i]) })
			}
		}))
	}
	if padding > 0 {
		extension(extensionPadding, func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, padding-4)) })
	}
}

func (h *clientHello) offersTLS13() bool { return slices.Contains(h.versions, tls.VersionTLS13) }

// keyShares returns a public key of each group of shares. The private keys are forgotten at once.
func (h *clientHello) keyShares() ([][]byte, error) {
	if !h.offersTLS13() {
		return nil, nil
	}
	var shares [][]byte
	for _, group := range h.shares {
		curve := ecdh.X25519()
		switch group {
		case tls.CurveP256:
			curve = ecdh.P256()
		case tls.CurveP384:
			curve = ecdh.P384()
		case tls.CurveP521:
			curve = ecdh.P521()
		}
		private, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make key share: %w", err)
		}
		shares = append(shares, private.PublicKey().Bytes())
	}
	return shares, nil
}

// serverHello is the first answer to a clientHello.
type serverHello struct {
	answered bool   // with a ServerHello or a HelloRetryRequest
	refused  bool   // with an alert
	version  uint16 // that was chosen
}

// parseCertificates returns the certificates that follow a ServerHello of TLS 1.2, which sends them in the
// clear. ok is false while data has not all of them. See parseCertificate for what does
// not parse.
func parseCertificates(data []byte) (certs []*x509.Certificate, ok bool) {
	var messages []byte
	for input := cryptobyte.String(data); ; {
		var kind uint8
		var body cryptobyte.String
		if !input.ReadUint8(&kind) || !input.Skip(2) || !input.ReadUint16LengthPrefixed(&body) {
			break // the rest of a record has not come yet
		}
		if kind != recordHandshake {
			return nil, true
		}
		messages = append(messages, body...)
	}
	for input := cryptobyte.String(messages); ; {
		var kind uint8
		var body, list, der cryptobyte.String
		if !input.ReadUint8(&kind) || !input.ReadUint24LengthPrefixed(&body) {
			return nil, false
		}
		if kind != typeCertificate {
			continue
		}
		ok := body.ReadUint24LengthPrefixed(&list)
		for ok && !list.Empty() && len(certs) < maxCertificates {
			if ok = list.ReadUint24LengthPrefixed(&der); ok {
				certs = append(certs, parseCertificate(der))
			}
		}
		return certs, true
	}
}

// parseCertificate returns a certificate. If crypto/x509 refuses it, the result has only Raw, and its serial
// number if that is the reason.
func parseCertificate(der []byte) *x509.Certificate {
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		return cert
	}
	cert = &x509.Certificate{Raw: der}
	var input, certificate, body, version cryptobyte.String
	input = der
	if input.ReadASN1(&certificate, asn1.SEQUENCE) && certificate.ReadASN1(&body, asn1.SEQUENCE) &&
		body.ReadOptionalASN1(&version, nil, asn1.Tag(0).Constructed().ContextSpecific()) {
		serial := new(big.Int)
		if body.ReadASN1Integer(serial) && serial.Sign() < 0 {
			cert.SerialNumber = serial
		}
	}
	return cert
}

// Bounds of what is read of certificates.
const (
	maxCertificates     = 16
	maxCertificateBytes = 64 << 10
)

// maxServerHello is as much as is read. A ServerHello has about 150 bytes.
const maxServerHello = 2048

// parseServerHello reads what it can of the beginning of an answer. ok is false while that is not enough.
func parseServerHello(data []byte) (answer serverHello, ok bool) {
	input := cryptobyte.String(data)
	var kind uint8
	var length uint16
	if !input.ReadUint8(&kind) || !input.Skip(2) || !input.ReadUint16(&length) {
		return answer, false
	}
	if kind == recordAlert {
		ok := input.Skip(2)
		return serverHello{refused: ok}, ok
	}
	var message uint8
	var body, session, extensions cryptobyte.String
	if kind != recordHandshake {
		return answer, true
	}
	if !input.ReadUint8(&message) || !input.ReadUint24LengthPrefixed(&body) {
		return answer, false
	}
	if message != typeServerHello || !body.ReadUint16(&answer.version) || !body.Skip(32) ||
		!body.ReadUint8LengthPrefixed(&session) || !body.Skip(3) { // a suite and a compression
		return serverHello{}, true
	}
	answer.answered = true
	if !body.ReadUint16LengthPrefixed(&extensions) {
		return answer, true
	}
	for !extensions.Empty() {
		var extension uint16
		var content cryptobyte.String
		if !extensions.ReadUint16(&extension) || !extensions.ReadUint16LengthPrefixed(&content) {
			return serverHello{}, true
		}
		if extension == extensionVersions {
			content.ReadUint16(&answer.version)
		}
	}
	return answer, true
}
