package tlsorigin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// leaveOutName makes config verify everything but the name. crypto/tls has no such mode: it verifies all or nothing. So
// its own verification is replaced, here and nowhere else, by verifyWithoutName, which does the same work and fails closed.
// crypto/tls calls it in every handshake, before it sends the client certificate and before any data can pass.
func (t *trust) leaveOutName(config *tls.Config) {
	config.InsecureSkipVerify = true //nolint:forbidigo // verify-ca: verifyWithoutName verifies in its place
	config.VerifyConnection = t.verifyWithoutName
}

// verifyWithoutName is a tls.Config.VerifyConnection that verifies the chain with its dates, server usage, constraints and
// our policy.
func (t *trust) verifyWithoutName(cs tls.ConnectionState) error {
	sent := cs.PeerCertificates
	if len(sent) == 0 {
		return &tls.CertificateVerificationError{Err: errors.New("no certificate was sent")}
	}
	if t.template.RootCAs == nil {
		// crypto/x509 would take the system's roots, under which anybody can get a certificate for a name of his own.
		return &tls.CertificateVerificationError{UnverifiedCertificates: sent, Err: errors.New("no authority is configured")}
	}
	return t.checkVerified(cs)
}

func (t *trust) chainsWithoutName(sent []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	chains, err := sent[0].Verify(x509.VerifyOptions{
		Roots:         t.template.RootCAs,
		Intermediates: poolOf(sent[1:]),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if fips140.Enabled() {
		chains = slices.DeleteFunc(chains, hasUnapprovedKey)
	}
	return chains, err
}

// state returns what is known of a verified connection. Where crypto/tls did not do all the work, it does not know the
// chains.
func (t *trust) state(conn *Conn) tls.ConnectionState {
	state := conn.ConnectionState()
	if len(state.PeerCertificates) > 0 {
		state.VerifiedChains, _ = t.chainsToRoots(&state, time.Now()) // it was all right a moment ago
	}
	return state
}

// hasUnapprovedKey reports whether a chain has a key that FIPS 140-3 mode does not accept; crypto/tls drops such chains
// when it verifies itself. Short RSA keys are refused in every mode.
func hasUnapprovedKey(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		return ok && key.Curve == elliptic.P224()
	})
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}
