package tlsorigin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// trust is everything that a handshake depends on: validated as a whole, never changed afterwards.
type trust struct {
	template *tls.Config                // without the parts that belong to one connection
	known    atomic.Pointer[knownPeers] // nil: none yet
	sessions *sessions                  // nil: nothing is resumed
	client   *tls.Certificate           // nil: none configured
	warnings []Warning

	files      snapshot // read once, before anything is parsed; without content once everything is
	generation uint64   // counts the reloads that changed something

	verifyCA bool         // the name does not matter
	pins     pinSet       // nil: none
	crls     *revocations // nil: revocation is not checked

	roots, chain   []*x509.Certificate            // as configured: nil for the system roots, nil without a client certificate
	sources        []RootSource                   // of the roots
	rootsByName    map[string][]*x509.Certificate // by the DER of their subject
	rootsNotAfter  time.Time                      // earliest end among the configured roots; zero for the system roots
	clientNotAfter time.Time                      // earliest end in the client certificate chain; zero without one
}

// systemRoots is x509.SystemCertPool, or what a test puts in its place.
type systemRoots func() (*x509.CertPool, error)

// loadTrust parses files, a snapshot of cfg.files, and returns either a trust or every problem.
func loadTrust(cfg *Config, files snapshot, minVersion uint16, system systemRoots) (*trust, []error) {
	t := &trust{files: files, template: &tls.Config{
		MinVersion: minVersion,
		// TLS 1.2 with forward secrecy and AEAD. The order is Go's own, and so are the suites of TLS 1.3.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		// Small first records would only cost throughput: nobody renders a page here.
		DynamicRecordSizingDisabled: true,
		CurvePreferences:            cfg.offeredGroups(),
		// After SSLRequest, too, where servers that know it are PostgreSQL from 17 on, and the others ignore it.
		NextProtos: []string{protocolName},
	}}
	replaceVerification(t.template)
	problems := slices.Concat(t.loadRoots(cfg, system), t.loadClient(cfg), t.loadPolicy(cfg))
	if problems != nil {
		return nil, problems
	}
	t.sessions = newSessions(cfg.ResumeFor, t.client)
	t.files = files.forget()
	return t, nil
}

// loadRoots always sets RootCAs: a nil pool would mean the system roots by omission.
func (t *trust) loadRoots(cfg *Config, system systemRoots) []error {
	fail := func(field, value string, err error) []error {
		return []error{&ConfigError{Field: field, Value: value, Problem: ProblemUnusable, Err: err}}
	}
	noRoots := func(err error) []error {
		return []error{&ConfigError{Field: "CAFile", Problem: ProblemNoRoots, Err: err}}
	}
	if cfg.CAFile != "" && cfg.CAPEM != "" {
		return []error{&ConfigError{Field: "CAPEM", Problem: ProblemTwice, Others: []string{"CAFile"}}}
	}
	if cfg.CAFile == "" && cfg.CAPEM == "" {
		t.sources = systemSources()
		if err := readableSources(t.sources); err != nil {
			return noRoots(err)
		}
		pool, err := system()
		if err != nil {
			return noRoots(fmt.Errorf("the system roots cannot be loaded: %w", err))
		}
		if pool.Equal(x509.NewCertPool()) {
			return noRoots(errors.New("the system has no root certificates"))
		}
		t.template.RootCAs = pool
		for _, source := range t.sources {
			if source.Setting != "" {
				text := fmt.Sprintf("is not set, and %s in the environment replaces the system's roots by %s", source.Setting, quote(source.Path))
				t.warn(Warning{Field: "CAFile", Kind: WarningRootsReplaced, Text: text})
			}
		}
		return nil
	}
	field, data := "CAPEM", []byte(cfg.CAPEM)
	if cfg.CAFile != "" {
		field = "CAFile"
		var err error
		if data, _, err = t.readSmall(cfg.CAFile); err != nil {
			return fail(field, cfg.CAFile, err)
		}
	}
	certs, err := parseCertificates(data, certificatesOnly)
	if err != nil {
		return fail(field, cfg.CAFile, err) // never the value of CAPEM: it could hold a key by mistake
	}
	t.template.RootCAs = x509.NewCertPool()
	for _, cert := range certs {
		t.template.RootCAs.AddCert(cert)
		t.warnExpiry(field, cert)
	}
	t.roots, t.rootsNotAfter = certs, earliestEnd(certs)
	t.sources = []RootSource{{Setting: field, Path: cfg.CAFile, Certificates: len(certs)}}
	t.rootsByName = map[string][]*x509.Certificate{}
	for _, cert := range certs {
		t.rootsByName[string(cert.RawSubject)] = append(t.rootsByName[string(cert.RawSubject)], cert)
	}
	return nil
}

// loadPolicy reads what is demanded of a chain beyond an anchor, and whether its name matters.
func (t *trust) loadPolicy(cfg *Config) []error {
	var problems []error
	t.pins, problems = parsePins(cfg.Pins)
	if cfg.CRLFile != "" {
		if err := t.loadRevocations(cfg.CRLFile); err != nil {
			problems = append(problems, &ConfigError{Field: "CRLFile", Value: cfg.CRLFile, Problem: ProblemUnusable, Err: err})
		}
	}
	if !cfg.VerifyCA {
		return problems
	}
	if cfg.CAFile == "" && cfg.CAPEM == "" {
		return append(problems, &ConfigError{Field: "VerifyCA", Problem: ProblemNeedsRoots, Others: []string{"CAFile", "CAPEM"}})
	}
	t.verifyCA = true
	t.warn(Warning{
		Field: "VerifyCA", Kind: WarningNameUnchecked,
		Text: "the upstream's name is not checked, whoever has a certificate of the configured authorities is accepted",
	})
	return problems
}

func (t *trust) loadRevocations(path string) error {
	data, _, err := t.files.read(path)
	if err != nil {
		return err
	}
	if t.crls, err = parseRevocations(data); err != nil {
		return err
	}
	for _, text := range t.crls.warnings(time.Now()) {
		t.warn(Warning{Field: "CRLFile", Kind: WarningListDates, Text: text})
	}
	return nil
}

// loadClient reads the client certificate and its key, if there are any.
func (t *trust) loadClient(cfg *Config) []error {
	switch {
	case cfg.CertFile == "" && cfg.KeyFile == "":
		return nil
	case cfg.CertFile == "":
		return []error{&ConfigError{Field: "CertFile", Problem: ProblemIncomplete, Others: []string{"KeyFile"}}}
	case cfg.KeyFile == "":
		return []error{&ConfigError{Field: "KeyFile", Problem: ProblemIncomplete, Others: []string{"CertFile"}}}
	}
	var problems []error
	certs, err := t.readChain(cfg.CertFile)
	if err != nil {
		problems = append(problems, &ConfigError{Field: "CertFile", Value: cfg.CertFile, Problem: ProblemUnusable, Err: err})
	}
	key, err := t.readKey(cfg.KeyFile)
	if err != nil {
		problems = append(problems, &ConfigError{Field: "KeyFile", Value: cfg.KeyFile, Problem: ProblemUnusable, Err: err})
	}
	if problems != nil {
		return problems
	}
	var chain []byte
	for _, cert := range certs {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
		t.warnExpiry("CertFile", cert)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		err = fmt.Errorf("does not fit the first certificate of %q: %w", cfg.CertFile, err)
		return []error{&ConfigError{Field: "KeyFile", Value: cfg.KeyFile, Problem: ProblemUnusable, Err: err}}
	}
	if public, ok := certs[0].PublicKey.(*ecdsa.PublicKey); ok && public.Curve == elliptic.P224() {
		text := "TLS 1.3 has no P-224 signatures, this client certificate can only be presented in TLS 1.2"
		t.warn(Warning{Field: "CertFile", Kind: WarningKeyType, Text: text})
	}
	t.client, t.chain, t.clientNotAfter = &pair, certs, earliestEnd(certs)
	return nil
}

// readSmall reads a file that is no revocation list.
func (t *trust) readSmall(path string) ([]byte, os.FileMode, error) {
	data, mode, err := t.files.read(path)
	if err == nil && len(data) > maxFileSize {
		return nil, 0, fmt.Errorf("is larger than %d MiB", maxFileSize>>20)
	}
	return data, mode, err
}

func (t *trust) readChain(path string) ([]*x509.Certificate, error) {
	data, _, err := t.readSmall(path)
	if err != nil {
		return nil, err
	}
	return parseCertificates(data, keysToo)
}

// readKey warns of a key that others may read, but takes it: secrets mounted by Kubernetes are often mode 0644 or 0640.
func (t *trust) readKey(path string) ([]byte, error) {
	data, mode, err := t.readSmall(path)
	if err != nil {
		return nil, err
	}
	if mode.IsRegular() && mode.Perm()&0o077 != 0 {
		text := fmt.Sprintf("group or others may access this private key (mode %04o)", mode.Perm())
		t.warn(Warning{Field: "KeyFile", Value: path, Kind: WarningKeyAccess, Text: text})
	}
	return privateKeyBlock(data)
}

// warnExpiry warns of a certificate that is of no use at present. It is no error: the clock may be wrong, and the
// failure of a connection says the same with more certainty.
func (t *trust) warnExpiry(field string, cert *x509.Certificate) {
	if _, problem := dateProblem(cert, time.Now()); problem != "" {
		t.warn(Warning{Field: field, Kind: WarningDates, Text: "certificate " + certificateName(cert) + " " + problem})
	}
}

func (t *trust) warnNames(routes []route) {
	for _, r := range routes {
		if _, err := netip.ParseAddr(r.name); err == nil {
			text := r.name + " is an IP address: the certificate needs it as an IP SAN, and no SNI is sent"
			t.warn(Warning{Field: "ServerName", Kind: WarningNoSNI, Text: text})
			return
		}
	}
}

func (t *trust) warn(w Warning) { t.warnings = append(t.warnings, w) }

// config returns the TLS configuration for the connection of v.
func (t *trust) config(v *verification, auth *clientAuth) *tls.Config {
	config := t.template.Clone()
	config.ServerName = v.name
	config.VerifyConnection = v.verify
	config.GetClientCertificate = auth.answer
	return config
}

func earliestEnd(certs []*x509.Certificate) time.Time {
	earliest := certs[0].NotAfter
	for _, cert := range certs[1:] {
		if cert.NotAfter.Before(earliest) {
			earliest = cert.NotAfter
		}
	}
	return earliest
}

// clientAuth notes on one connection what the upstream asked for. The handshake writes it before anyone reads it.
type clientAuth struct {
	configured *tls.Certificate // nil: none
	requested  bool
	unlisted   bool // the upstream sent a list of authorities that has no issuer of ours
}

// answer is a tls.Config.GetClientCertificate. It returns the configured certificate whatever list of authorities the
// server sent, as libpq does: tls.Config.Certificates would send none when the list does not match, and the server would
// complain of a missing certificate instead of a foreign one.
func (a *clientAuth) answer(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	a.requested = true
	if a.configured == nil {
		return new(tls.Certificate), nil
	}
	a.unlisted = len(request.AcceptableCAs) > 0 && !a.issuedByOneOf(request.AcceptableCAs)
	return a.configured, nil
}

// issuedByOneOf reports whether a certificate of the configured chain was issued under one of the names (DER).
func (a *clientAuth) issuedByOneOf(authorities [][]byte) bool {
	for _, der := range a.configured.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // loadClient parsed it already
		}
		if slices.ContainsFunc(authorities, func(name []byte) bool { return bytes.Equal(name, cert.RawIssuer) }) {
			return true
		}
	}
	return false
}
