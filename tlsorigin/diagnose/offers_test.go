package diagnose

import (
	"crypto"
	"crypto/tls"
	"encoding/asn1"
	"io"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestAHelloIsWhatItSays(t *testing.T) {
	p := prober{serverName: peertest.Name}
	for i, offer := range p.offers() {
		record, err := offer.hello.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if offer.hello.size > 0 && len(record) != offer.hello.size {
			t.Errorf("offer %d has %d bytes, want %d", i, len(record), offer.hello.size)
		}
		parsed := make(chan *tls.ClientHelloInfo, 1)
		ours, theirs := net.Pipe()
		go func() {
			tls.Server(theirs, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
				parsed <- info
				return nil, io.EOF
			}}).Handshake()
			theirs.Close()
		}()
		go io.Copy(io.Discard, ours)
		ours.Write(record)
		got := <-parsed
		if got.ServerName != offer.hello.serverName || !slices.Equal(got.CipherSuites, offer.hello.suites) ||
			!slices.Equal(got.SupportedCurves, offer.hello.groups) {
			t.Errorf("offer %d was understood as %+v", i, got)
		}
	}
}

// accepted asks a peer that ends each connection with its script. So no outcome depends on a clock.
func accepted(t *testing.T, script func(net.Conn)) *Acceptance {
	t.Helper()
	p := peertest.Start(t, func(conn net.Conn) {
		script(conn)
		conn.Close()
	})
	asker := &prober{addr: p.Addr, serverName: peertest.Name, timeout: time.Minute}
	return asker.askAll(t.Context())
}

func TestAccepts(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	leaf := ca.Issue(tlstest.Leaf{Key: tlstest.RSA2048, DNSNames: []string{peertest.Name}}).TLS()
	for name, row := range map[string]struct {
		config   *tls.Config
		versions map[uint16]bool
		suites   []SuiteKind
		groups   []tls.CurveID
	}{
		"ordinary": {
			&tls.Config{},
			map[uint16]bool{0x0301: false, 0x0302: false, 0x0303: true, 0x0304: true},
			[]SuiteKind{SuitesAEAD, SuitesCBC},
			singleGroups(),
		},
		"only TLS 1.3": {
			&tls.Config{MinVersion: tls.VersionTLS13},
			map[uint16]bool{0x0301: false, 0x0302: false, 0x0303: false, 0x0304: true},
			nil, singleGroups(),
		},
		"only TLS 1.1": {
			&tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11},
			map[uint16]bool{0x0301: true, 0x0302: true, 0x0303: false, 0x0304: false},
			nil, nil,
		},
		"only RSA key exchange": {
			&tls.Config{
				MaxVersion:   tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
			},
			map[uint16]bool{0x0301: false, 0x0302: false, 0x0303: true, 0x0304: false},
			[]SuiteKind{SuitesRSA},
			nil,
		},
		"only P-521": {
			&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}},
			map[uint16]bool{0x0301: false, 0x0302: false, 0x0303: true, 0x0304: true},
			[]SuiteKind{SuitesAEAD, SuitesCBC},
			[]tls.CurveID{tls.CurveP521},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.config.Certificates = []tls.Certificate{leaf}
			found := accepted(t, func(conn net.Conn) {
				if peertest.Answer(conn, "S") {
					tls.Server(conn, row.config).Handshake()
				}
			})
			if !maps.Equal(found.Versions, row.versions) {
				t.Errorf("versions %v, want %v", found.Versions, row.versions)
			}
			for _, kind := range []SuiteKind{SuitesAEAD, SuitesCBC, SuitesDHE, SuitesRSA} {
				if takes, asked := found.Suites[kind]; !asked || takes != slices.Contains(row.suites, kind) {
					t.Errorf("suites %s: %v, %v", kind, takes, asked)
				}
			}
			for _, group := range singleGroups() {
				takes, asked := found.Groups[group]
				if !asked || takes != slices.Contains(row.groups, group) {
					t.Errorf("group %s: %v, %v", group, takes, asked)
				}
			}
			if found.LostHello != 0 || found.NeedsSNI || found.PSSKey || found.MLDSAKey {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestAPathThatDropsTwoSegments(t *testing.T) {
	found := accepted(t, func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		if helloSize(conn) < 1448 {
			io.WriteString(conn, peertest.ServerHello11)
		}
	})
	if found.LostHello != twoSegments || found.GoodHello < oneSegment || found.GoodHello >= twoSegments {
		t.Errorf("%d lost, %d good", found.LostHello, found.GoodHello)
	}
}

func TestAServerThatNeedsSNI(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	leaf := ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}).TLS()
	found := accepted(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			tls.Server(conn, &tls.Config{GetCertificate: func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if info.ServerName == "" {
					return nil, io.EOF
				}
				return &leaf, nil
			}}).Handshake()
		}
	})
	if !found.NeedsSNI {
		t.Errorf("%+v", found)
	}
}

func TestNothingIsFoundOutWithoutTLS(t *testing.T) {
	for name, script := range map[string]func(net.Conn){
		"N":       func(conn net.Conn) { peertest.Answer(conn, "N") },
		"end":     func(net.Conn) {},
		"no TLS":  func(conn net.Conn) { peertest.Answer(conn, "SHTTP/1.1 400 Bad Request\r\n\r\n") },
		"garbage": func(conn net.Conn) { peertest.Answer(conn, "S\x16\x03\x03\x00\x04\x02\xff\xff\xff") },
	} {
		found := accepted(t, script)
		if len(found.Versions)+len(found.Suites)+len(found.Groups)+found.LostHello != 0 || found.NeedsSNI {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func FuzzServerHello(f *testing.F) {
	f.Add([]byte(peertest.ServerHello11))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28"))
	f.Fuzz(func(t *testing.T, data []byte) {
		answer, ok := parseServerHello(data)
		if answer.answered && answer.refused || !ok && answer != (serverHello{}) {
			t.Errorf("%+v, %v", answer, ok)
		}
	})
}

// A server that pgorigin has no cipher suite in common with shows its certificates to others.
func TestCertificatesOfTLS12(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521).Intermediate("Test Intermediate", tlstest.RSA2048)
	pair := ca.Issue(tlstest.Leaf{Key: tlstest.RSA2048, DNSNames: []string{peertest.Name}})
	found := accepted(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			tls.Server(conn, &tls.Config{
				MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair.TLS()},
				CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256},
			}).Handshake()
		}
	})
	if len(found.Path) != 2 || !found.Path[0].Equal(pair.Leaf) || !found.Path[1].Equal(ca.Cert) {
		t.Errorf("%+v", found.Path)
	}
}

// crypto/x509 refuses a negative serial number, so nothing else is known of such a certificate.
func TestANegativeSerialNumber(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	leaf := ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}).TLS()
	leaf.Certificate[0] = ca.Resign(leaf.Certificate[0], crypto.SHA256, func(e []asn1.RawValue) []asn1.RawValue {
		e[1] = asn1.RawValue{Tag: asn1.TagInteger, Bytes: []byte{0x81, 1}}
		return e
	})
	leaf.Leaf = nil
	found := accepted(t, func(conn net.Conn) {
		if peertest.Answer(conn, "S") {
			tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{leaf}}).Handshake()
		}
	})
	if !found.NegativeSerial || found.Path != nil {
		t.Errorf("%+v", found)
	}
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte(peertest.ServerHello11))
	f.Add([]byte("\x16\x03\x03\x00\x0c\x0b\x00\x00\x08\x00\x00\x05\x00\x00\x02ab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if certs, ok := parseCertificates(data); !ok && certs != nil || len(certs) > maxCertificates {
			t.Errorf("%v, %v", certs, ok)
		}
	})
}
