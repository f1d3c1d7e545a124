package tlsorigin

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// crlRow is a chain, the CRLs and what comes of it.
type crlRow struct {
	name   string
	pair   *tlstest.Pair
	lists  [][]byte
	reason Reason // empty: accepted
	wants  []string
}

func crlRows(root *tlstest.CA) []crlRow {
	between := root.Intermediate("Intermediate", tlstest.P521)
	direct := root.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	pair := between.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	mute := root.Authority(tlstest.Authority{Name: "Mute", Template: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }})
	now := time.Now()
	list := func(ca *tlstest.CA, reason int, certs ...*x509.Certificate) []byte {
		return ca.CRL(tlstest.CRL{Revoked: certs, Reason: reason})
	}
	stale := now.Add(-3*24*time.Hour - time.Minute)
	fresh, freshBetween := list(root, 0), list(between, 0)
	version1 := func(der []byte) []byte {
		return root.Resign(der, crypto.SHA256, func(elements []asn1.RawValue) []asn1.RawValue {
			return slices.DeleteFunc(elements, func(e asn1.RawValue) bool {
				return e.Tag == asn1.TagInteger && e.Class == asn1.ClassUniversal || e.Class == asn1.ClassContextSpecific
			})
		})
	}
	older := root.CRL(tlstest.CRL{ThisUpdate: now.Add(-48 * time.Hour), Revoked: []*x509.Certificate{direct.Leaf}, Reason: 6})
	expired := root.CRL(tlstest.CRL{NextUpdate: stale})
	return []crlRow{
		{"clean", direct, [][]byte{fresh}, "", nil},
		{"clean, version 1", direct, [][]byte{version1(fresh)}, "", nil},
		{"revoked, version 1", direct, [][]byte{version1(list(root, 1, direct.Leaf))}, ReasonCertRevoked, []string{"keyCompromise"}},
		{"out of date, version 1", direct, [][]byte{version1(expired)}, ReasonCRLStale, nil},
		{"clean, with an intermediate", pair, [][]byte{fresh, freshBetween}, "", nil},
		{
			"revoked", direct,
			[][]byte{list(root, 1, direct.Leaf)},
			ReasonCertRevoked,
			[]string{`certificate "db.test" (serial number ` + verify.SerialText(direct.Leaf), `revoked by "Test Root" on ` + now.Add(-time.Hour).UTC().Format(time.RFC3339)[:10], "keyCompromise"},
		},
		{"intermediate revoked", pair, [][]byte{list(root, 2, between.Cert), freshBetween}, ReasonCertRevoked, []string{`"Intermediate"`, `by "Test Root"`, "cACompromise"}},
		{"root listed by itself", direct, [][]byte{list(root, 5, root.Cert)}, ReasonCertRevoked, []string{`"Test Root"`, "cessationOfOperation"}},
		{"revoked, and the list is out of date", direct, [][]byte{root.CRL(tlstest.CRL{NextUpdate: stale, Revoked: []*x509.Certificate{direct.Leaf}})}, ReasonCertRevoked, []string{"unspecified"}},
		{"no list of the intermediate", pair, [][]byte{fresh}, ReasonCRLMissing, []string{`no CRL of its issuer "Intermediate"`}},
		{"no list of the root", pair, [][]byte{freshBetween}, ReasonCRLMissing, []string{`"Intermediate" cannot be checked`, `no CRL of its issuer "Test Root"`}},
		{"list out of date", direct, [][]byte{expired}, ReasonCRLStale, []string{"out of date since " + stale.UTC().Format(time.RFC3339), "3 days ago"}},
		{"list not yet valid", direct, [][]byte{root.CRL(tlstest.CRL{ThisUpdate: now.Add(time.Hour)})}, ReasonCRLStale, []string{"not valid before", " here)"}},
		{"signed by another of that name", direct, [][]byte{list(tlstest.NewCA("Test Root", tlstest.P256), 0)}, ReasonCRLMissing, []string{"was not signed with that authority's key"}},
		{"issuer without cRLSign", mute.Issue(tlstest.Leaf{DNSNames: []string{testName}}), [][]byte{fresh, list(mute, 0)}, ReasonCertInvalid, []string{`"Mute" may not sign CRLs`, "cRLSign"}},
		{"fresh one beside one out of date", direct, [][]byte{expired, fresh}, "", nil},
		{"only an older list has it", direct, [][]byte{older, fresh}, ReasonCertRevoked, []string{"certificateHold"}},
		{"only an older list has it, which has run out", direct, [][]byte{root.CRL(tlstest.CRL{ThisUpdate: now.Add(-96 * time.Hour), NextUpdate: stale, Revoked: []*x509.Certificate{direct.Leaf}}), fresh}, ReasonCertRevoked, nil},
		{
			"the newest has it and has run out, an older one in force has not", direct,
			[][]byte{root.CRL(tlstest.CRL{ThisUpdate: now.Add(-3 * time.Hour)}), root.CRL(tlstest.CRL{ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour), Revoked: []*x509.Certificate{direct.Leaf}})},
			ReasonCertRevoked, nil,
		},
		{
			"the newest has run out, an older one is in force", direct,
			[][]byte{root.CRL(tlstest.CRL{ThisUpdate: now.Add(-3 * time.Hour)}), root.CRL(tlstest.CRL{ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)})},
			ReasonCRLStale,
			[]string{"out of date"},
		},
		{"a list that has not begun has it", direct, [][]byte{fresh, root.CRL(tlstest.CRL{ThisUpdate: now.Add(time.Hour), NextUpdate: now.Add(48 * time.Hour), Revoked: []*x509.Certificate{direct.Leaf}})}, "", nil},
		{"root listed by another of its name", direct, [][]byte{list(tlstest.NewCA("Test Root", tlstest.P256), 1, root.Cert), fresh}, "", nil},
		{"older list without it", direct, [][]byte{root.CRL(tlstest.CRL{ThisUpdate: now.Add(-48 * time.Hour)}), list(root, 1, direct.Leaf)}, ReasonCertRevoked, nil},
		{"another of that name beside it", direct, [][]byte{list(tlstest.NewCA("Test Root", tlstest.P256), 1, direct.Leaf), fresh}, "", nil},
	}
}

func TestRevocation(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range crlRows(root) {
		t.Run(row.name, func(t *testing.T) {
			p := peertest.Start(t, peertest.Presents(row.pair))
			path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(row.lists...), 0o644)
			d := newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, p.Addr)
			// The second connection finds the signatures remembered.
			for range 2 {
				if row.reason == "" {
					conn, err := d.Dial(t.Context(), nil)
					if err != nil {
						t.Fatal(err)
					}
					conn.Close()
					continue
				}
				failure := dialFailure(t, d)
				if failure.Kind != row.reason {
					t.Errorf("reason %s, want %s (%v)", failure.Kind, row.reason, failure)
				}
				for _, want := range row.wants {
					if !strings.Contains(failure.Text, want) {
						t.Errorf("text %q lacks %q", failure.Text, want)
					}
				}
			}
		})
	}
}

func TestOneUnrevokedChainIsEnough(t *testing.T) {
	root, newRoot := tlstest.NewCA("Test Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
	bridge := root.CrossSign(newRoot, nil)
	p := peertest.Start(t, peertest.Presents(bridge.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(
		root.CRL(tlstest.CRL{Revoked: []*x509.Certificate{bridge.Cert}}), newRoot.CRL(tlstest.CRL{})), 0o644)
	if failure := dialFailure(t, newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, p.Addr)); failure.Kind != ReasonCertRevoked {
		t.Errorf("over the revoked bridge: reason %s, want %s", failure.Kind, ReasonCertRevoked)
	}
	conn, err := newTestDialer(t, root, func(c *Config) { c.CRLFile, c.CAPEM = path, c.CAPEM+string(newRoot.PEM()) }, p.Addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatalf("with the new root: %v", err)
	}
	conn.Close()
}

func TestUnfitLists(t *testing.T) {
	root, weak := tlstest.NewCA("Test Root", tlstest.P256), tlstest.NewCA("Weak Root", tlstest.RSA2048)
	with := func(value string, oid ...int) []byte {
		return root.CRL(tlstest.CRL{Extra: []pkix.Extension{{Id: oid, Critical: true, Value: []byte(value)}}})
	}
	entry := func(value string, oid ...int) []byte {
		return root.CRL(tlstest.CRL{Revoked: []*x509.Certificate{root.Cert}, EntryExtra: []pkix.Extension{{Id: oid, Critical: true, Value: []byte(value)}}})
	}
	good := tlstest.CRLPEM(root.CRL(tlstest.CRL{}))
	endless := root.Resign(root.CRL(tlstest.CRL{}), crypto.SHA256, func(elements []asn1.RawValue) []asn1.RawValue {
		return slices.Delete(elements, 4, 5) // version, algorithm, issuer, thisUpdate, nextUpdate
	})
	for name, row := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                               {nil, "is empty"},
		"no PEM":                              {[]byte("x"), "holds no PEM block"},
		"DER":                                 {root.CRL(tlstest.CRL{}), "openssl crl -inform der"},
		"a certificate":                       {root.PEM(), `block 1 is of type "CERTIFICATE", want only X509 CRL`},
		"a certificate behind a list":         {append(slices.Clone(good), root.PEM()...), "block 2 is of type"},
		"damaged block behind a list":         {append(slices.Clone(good), "-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----\n"...), "only 1 can be read"},
		"truncated":                           {good[:len(good)-30], "truncated"},
		"garbage in a block":                  {pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "block 1 is no readable CRL"},
		"delta":                               {tlstest.CRLPEM(with("\x02\x01\x01", 2, 5, 29, 27)), "delta CRL"},
		"indirect":                            {tlstest.CRLPEM(with("\x30\x03\x84\x01\xff", 2, 5, 29, 28)), "issuingDistributionPoint"},
		"unknown critical extension":          {tlstest.CRLPEM(with("\x05\x00", 1, 2, 3)), "critical extension 1.2.3 is not understood"},
		"entry of another issuer":             {tlstest.CRLPEM(entry("\x30\x00", 2, 5, 29, 29)), "other issuers"},
		"unknown critical extension of entry": {tlstest.CRLPEM(entry("\x05\x00", 1, 2, 3)), "extension 1.2.3 of an entry"},
		"no next update":                      {tlstest.CRLPEM(endless), "when the next one is due"},
		"SHA-1":                               {tlstest.CRLPEM(weak.Resign(weak.CRL(tlstest.CRL{}), crypto.SHA1, nil)), "can be forged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), row.data, 0o644)
			_, err := NewDialer(Config{Addrs: []string{"db.test:6432"}, CAPEM: string(root.PEM()), CRLFile: path})
			var wrong *ConfigError
			if !errors.As(err, &wrong) || wrong.Field != "CRLFile" || wrong.Value != path || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func TestUselessListsAreAWarning(t *testing.T) {
	root, other := tlstest.NewCA("Test Root", tlstest.P256), tlstest.NewCA("Other Root", tlstest.P256)
	stale := tlstest.CRL{NextUpdate: time.Now().Add(-time.Hour)}
	path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(root.CRL(stale), other.CRL(stale), other.CRL(tlstest.CRL{})), 0o644)
	d := newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, "db.test:6432")
	warnings := warningTexts(d)
	if !strings.Contains(warnings, `CRLFile: the CRL of "Test Root" is out of date`) || strings.Contains(warnings, "Other Root") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestListsAreReloaded(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	pair := root.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	p := peertest.Start(t, peertest.Presents(pair))
	soon := time.Now().Add(6 * time.Hour).Truncate(time.Second)
	path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(root.CRL(tlstest.CRL{NextUpdate: soon})), 0o644)
	d := newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, p.Addr)
	if got := d.CRLNextUpdate(); !got.Equal(soon) {
		t.Errorf("the next list is due %v, want %v", got, soon)
	}
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	later := soon.Add(time.Hour)
	peertest.WriteFile(t, path, tlstest.CRLPEM(root.CRL(tlstest.CRL{NextUpdate: later, Revoked: []*x509.Certificate{pair.Leaf}})), 0o644)
	found, err := d.Reload(t.Context())
	if err != nil || !found.Changed || !found.CRLNextUpdate.Equal(later) {
		t.Errorf("reload found %+v, %v", found, err)
	}
	if failure := dialFailure(t, d); failure.Kind != ReasonCertRevoked {
		t.Errorf("reason %s, want %s", failure.Kind, ReasonCertRevoked)
	}
	// A list that takes the certificate off again is found by the very Dial that the old one would refuse.
	peertest.WriteFile(t, path, tlstest.CRLPEM(root.CRL(tlstest.CRL{})), 0o644)
	if conn, err = d.Dial(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// Lists may be long: an entry costs as much memory as it has bytes, and less than 4 times that while it is
// read.
func TestLongListsLoad(t *testing.T) {
	const entries = 150_000
	root := tlstest.NewCA("Test Root", tlstest.P256)
	path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), root.LongCRL(entries), 0o644)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d := newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, "db.test:6432")
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int(after.HeapAlloc) - int(before.HeapAlloc)) / entries; each > 35 {
		t.Errorf("%d bytes for an entry", each)
	}
	runtime.KeepAlive(d)
}

// A stranger can make connections fail as often as it likes, but not make us read a long list each time.
func TestFailuresDoNotReadLongListsAgain(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{testName}})))
	path := peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), root.LongCRL(30_000), 0o644)
	d := newTestDialer(t, root, func(c *Config) { c.CRLFile = path }, p.Addr)
	dialFailure(t, d)
	first := d.reloads.began
	if first.IsZero() {
		t.Fatal("nobody looked at the files")
	}
	if d.reloads.size < freeRead {
		t.Fatalf("read %d bytes", d.reloads.size)
	}
	d.reloads.size = 100 * readRate // so that a busy machine is in time
	dialFailure(t, d)
	if !d.reloads.began.Equal(first) {
		t.Error("the files were read again at once")
	}
	d.reloads.began = first.Add(-time.Hour)
	dialFailure(t, d)
	if !d.reloads.began.After(first) {
		t.Error("the files were not read again for an hour")
	}
}
