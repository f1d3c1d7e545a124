package tlsorigin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// tlsState is everything that a handshake takes from the Config and its files. It is checked as a whole and
// never changed afterwards: a reload makes another one.
type tlsState struct {
	template *tls.Config      // without the parts that belong to one connection
	policy   *verify.Policy   // for the certificates of the upstream
	sessions *sessions        // nil means that nothing is resumed
	client   *tls.Certificate // nil means that none is configured
	warnings []Warning

	files      snapshot // read once, before anything is parsed; without content once everything is
	generation uint64   // counts the reloads that changed something

	chain          []*x509.Certificate // of the client certificate; nil without one
	sources        []RootSource        // of the roots
	rootsNotAfter  time.Time           // earliest end among the configured roots; zero for the system roots
	clientNotAfter time.Time           // earliest end in the client certificate chain; zero without one
}

// systemRoots is x509.SystemCertPool, except in tests.
type systemRoots func() (*x509.CertPool, error)

// loadState parses files, a snapshot of cfg.files, and returns either a tlsState or every problem.
func loadState(cfg *Config, files snapshot, minVersion uint16, system systemRoots) (*tlsState, []error) {
	s := &tlsState{files: files, policy: new(verify.Policy), template: &tls.Config{
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
		// Small first records help browsers, and only cost throughput here.
		DynamicRecordSizingDisabled: true,
		CurvePreferences:            cfg.offeredGroups(),
		// After SSLRequest, too: PostgreSQL knows it from 17 on, and other servers ignore it.
		NextProtos: []string{protocolName},
	}}
	replaceVerification(s.template)
	problems := slices.Concat(s.loadRoots(cfg, system), s.loadClient(cfg), s.loadPolicy(cfg))
	if problems != nil {
		return nil, problems
	}
	s.sessions = newSessions(cfg.ResumeFor, s.client)
	s.files = files.withoutContent()
	return s, nil
}

// loadRoots always sets RootCAs, because nil would mean the system roots by omission.
func (s *tlsState) loadRoots(cfg *Config, system systemRoots) []error {
	fail := func(field, value string, err error) []error {
		return []error{unusable(field, value, err)}
	}
	noRoots := func(err error) []error {
		return []error{&ConfigError{Field: "CAFile", Problem: ProblemNoRoots, Err: err}}
	}
	if cfg.CAFile != "" && cfg.CAPEM != "" {
		return []error{&ConfigError{Field: "CAPEM", Problem: ProblemTwice, Others: []string{"CAFile"}}}
	}
	if cfg.CAFile == "" && cfg.CAPEM == "" {
		s.sources = systemSources()
		if err := readableSources(s.sources); err != nil {
			return noRoots(err)
		}
		pool, err := system()
		if err != nil {
			return noRoots(fmt.Errorf("the system roots cannot be loaded: %w", err))
		}
		if pool.Equal(x509.NewCertPool()) {
			return noRoots(errors.New("the system has no root certificates"))
		}
		s.template.RootCAs, s.policy = pool, verify.NewSystemPolicy(pool)
		for _, source := range s.sources {
			if source.Setting != "" {
				text := fmt.Sprintf("is not set, and %s in the environment replaces the system's roots with %s",
					source.Setting, safetext.Quote(source.Path))
				s.warn(Warning{Field: "CAFile", Text: text})
			}
		}
		return nil
	}
	field, data := "CAPEM", []byte(cfg.CAPEM)
	if cfg.CAFile != "" {
		field = "CAFile"
		var err error
		if data, _, err = s.readSmall(cfg.CAFile); err != nil {
			return fail(field, cfg.CAFile, err)
		}
	}
	certs, err := verify.ParseCertificates(data, verify.CertificatesOnly)
	if err != nil {
		return fail(field, cfg.CAFile, err) // never the value of CAPEM: it could hold a key by mistake
	}
	s.policy = verify.NewPolicy(certs)
	s.policy.System = func() (*x509.CertPool, error) { // only once somebody needs it: it takes 15 ms
		if err := readableSources(systemSources()); err != nil {
			return nil, err
		}
		return system()
	}
	s.template.RootCAs, s.rootsNotAfter = s.policy.Pool(), earliestEnd(certs)
	s.sources = []RootSource{{Setting: field, Path: cfg.CAFile, Certificates: len(certs)}}
	for _, cert := range certs {
		s.warnExpiry(field, cert)
	}
	return nil
}

// loadPolicy reads what a chain must satisfy beyond leading to a root, and whether its name matters. It comes
// after loadRoots.
func (s *tlsState) loadPolicy(cfg *Config) []error {
	var problems []error
	for _, text := range cfg.Pins {
		pin, err := verify.ParsePin(text)
		if err != nil {
			problems = append(problems, unusable("Pins", text, err))
		}
		s.policy.Pins = append(s.policy.Pins, pin)
	}
	if cfg.CRLFile != "" {
		if err := s.loadRevocations(cfg.CRLFile); err != nil {
			problems = append(problems, unusable("CRLFile", cfg.CRLFile, err))
		}
	}
	if !cfg.VerifyCA {
		return problems
	}
	if cfg.CAFile == "" && cfg.CAPEM == "" {
		return append(problems, &ConfigError{
			Field: "VerifyCA", Problem: ProblemNeedsRoots,
			Others: []string{"CAFile", "CAPEM"},
		})
	}
	s.policy.IgnoreName = true
	s.warn(Warning{
		Field: "VerifyCA",
		Text: "the upstream's name is not checked: any server with a certificate of the configured CA is " +
			"accepted",
	})
	return problems
}

func (s *tlsState) loadRevocations(path string) error {
	data, _, err := s.files.read(path)
	if err != nil {
		return err
	}
	if s.policy.CRLs, err = verify.ParseCRLs(data); err != nil {
		return err
	}
	for _, text := range s.policy.CRLs.Warnings(time.Now()) {
		s.warn(Warning{Field: "CRLFile", Text: text})
	}
	return nil
}

// loadClient reads the client certificate and its key, if there are any.
func (s *tlsState) loadClient(cfg *Config) []error {
	switch {
	case cfg.CertFile == "" && cfg.KeyFile == "":
		return nil
	case cfg.CertFile == "":
		return []error{&ConfigError{
			Field: "CertFile", Problem: ProblemIncomplete,
			Others: []string{"KeyFile"},
		}}
	case cfg.KeyFile == "":
		return []error{&ConfigError{
			Field: "KeyFile", Problem: ProblemIncomplete,
			Others: []string{"CertFile"},
		}}
	}
	var problems []error
	certs, err := s.readChain(cfg.CertFile)
	if err != nil {
		problems = append(problems, unusable("CertFile", cfg.CertFile, err))
	}
	key, err := s.readKey(cfg.KeyFile)
	if err != nil {
		problems = append(problems, unusable("KeyFile", cfg.KeyFile, err))
	}
	if problems != nil {
		return problems
	}
	var chain []byte
	for _, cert := range certs {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
		s.warnExpiry("CertFile", cert)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return []error{unusable("KeyFile", cfg.KeyFile, unfitKey(cfg.CertFile, certs, key, err))}
	}
	if found := verify.ClientUsageProblem(certs[0]); found != nil {
		s.warn(Warning{
			Field: "CertFile",
			Text:  "certificate " + verify.CertificateName(certs[0]) + " " + found.Text + ": servers may reject it",
		})
	}
	if public, ok := certs[0].PublicKey.(*ecdsa.PublicKey); ok && public.Curve == elliptic.P224() {
		text := "TLS 1.3 has no P-224 signatures, this client certificate can only be presented in TLS 1.2"
		s.warn(Warning{Field: "CertFile", Text: text})
	}
	s.client, s.chain, s.clientNotAfter = &pair, certs, earliestEnd(certs)
	return nil
}

// readSmall reads a file other than a revocation list.
func (s *tlsState) readSmall(path string) ([]byte, fs.FileMode, error) {
	data, mode, err := s.files.read(path)
	if err == nil && len(data) > maxFileSize {
		return nil, 0, fmt.Errorf("is larger than %d MiB", maxFileSize>>20)
	}
	return data, mode, err
}

func (s *tlsState) readChain(path string) ([]*x509.Certificate, error) {
	data, _, err := s.readSmall(path)
	if err != nil {
		return nil, err
	}
	return verify.ParseCertificates(data, verify.KeysToo)
}

// readKey warns of a key that others may read, but accepts it: Kubernetes often mounts Secrets with mode 0644
// or 0640.
func (s *tlsState) readKey(path string) ([]byte, error) {
	data, mode, err := s.readSmall(path)
	if err != nil {
		return nil, err
	}
	if mode.IsRegular() && mode.Perm()&0o077 != 0 {
		text := fmt.Sprintf("group or others may access this private key (mode %04o)", mode.Perm())
		s.warn(Warning{Field: "KeyFile", Value: path, Text: text})
	}
	return verify.PrivateKeyBlock(data)
}

// warnExpiry warns of a certificate that is outside its dates. That is not an error: the clock may be wrong,
// and a failed connection says the same with more certainty.
func (s *tlsState) warnExpiry(field string, cert *x509.Certificate) {
	if found := verify.DateProblem(cert, time.Now()); found != nil {
		s.warn(Warning{
			Field: field,
			Text:  "certificate " + verify.CertificateName(cert) + " " + found.Text,
		})
	}
}

func (s *tlsState) warnNames(routes []route) {
	for _, r := range routes {
		if _, err := netip.ParseAddr(r.name); err == nil {
			text := r.name + " is an IP address: the certificate needs it as an IP SAN, and no SNI is sent"
			s.warn(Warning{Field: "ServerName", Text: text})
			return
		}
	}
}

func (s *tlsState) warn(w Warning) { s.warnings = append(s.warnings, w) }

// config returns the TLS configuration for the connection that v verifies.
func (s *tlsState) config(v *verification, auth *clientAuth) *tls.Config {
	config := s.template.Clone()
	config.ServerName = v.name
	config.VerifyConnection = v.verify
	config.GetClientCertificate = auth.answer
	return config
}

// replaceVerification makes config verify by package verify alone. crypto/tls would verify all or nothing,
// with up to 100 signature checks: a peer without any proof could burn a third of a second per connection. A
// configuration without its own verification accepts no peer.
func replaceVerification(config *tls.Config) {
	config.InsecureSkipVerify = true //nolint:forbidigo // verification.verify takes its place
	config.VerifyConnection = func(tls.ConnectionState) error { return errNoConnection }
}

var errNoConnection = errors.New("this TLS configuration belongs to no connection")

func earliestEnd(certs []*x509.Certificate) time.Time {
	earliest := certs[0].NotAfter
	for _, cert := range certs[1:] {
		if cert.NotAfter.Before(earliest) {
			earliest = cert.NotAfter
		}
	}
	return earliest
}
