package advice

import (
	"slices"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// This file is the part of the table about certificates and revocation lists.

func certificateReasons() []reason {
	rows := slices.Concat(trustReasons(), dateReasons(), policyReasons(), listReasons())
	for i := range rows {
		rows[i].Ends = ofDial()
		if rows[i].Stages == nil {
			rows[i].Stages = []diagnose.Stage{diagnose.StageChain}
		}
	}
	return append(rows, clientCertificateReasons()...)
}

// trustReasons are about who vouches for the upstream, and for which name.
func trustReasons() []reason {
	return []reason{{
		Word:    "cert_unknown_authority",
		Meaning: "The upstream's chain ends at a CA that is not trusted here.",
		Cures: []string{
			"Set {own:TLS_CA_FILE} (or {own:TLS_CA_PEM}) to the CA that signed the upstream's certificate.",
			"Get the CA from the administrator of the upstream, not from the network.",
			"If the CA is an intermediate, add it to the certificate file of the upstream.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseOtherCA),
			When: "other CAs are configured",
			Cures: []string{
				"Add the CA that signed the upstream's certificate to {TLS_CA_FILE} (or {TLS_CA_PEM}).",
				"Get the CA from the administrator of the upstream, not from the network.",
				"If the CA is an intermediate, add it to the certificate file of the upstream.",
			},
		}, {
			Case: string(tlsorigin.CaseSelfSigned),
			When: "the upstream's certificate is self-signed",
			Cures: []string{
				"Set {own:TLS_CA_FILE} to a copy of the upstream's certificate file.",
				"Copy it from the upstream's machine, not from the network.",
			},
		}, {
			Case: string(tlsorigin.CaseOtherKey),
			When: "the CA has the name of a trusted one, and another key",
			Cures: []string{
				"If the CA has a new key, put its new certificate, from its administrator, into {TLS_CA_FILE}.",
				"Otherwise find out who answers at {UPSTREAM_ADDR}: it pretends to have a certificate of that CA.",
			},
		}, {
			Case: string(tlsorigin.CaseKeyKind),
			When: "the key of the CA is of an unsupported type",
			Cures: []string{
				"Let a CA with an RSA, ECDSA or Ed25519 key issue the upstream's certificate: that CA must be in {TLS_CA_FILE}.",
			},
		}, {
			Case: string(tlsorigin.CaseForgeable),
			When: "a signature uses an old hash, such as SHA-1, and can be forged",
			Cures: []string{
				"Reissue the certificate that the message names: the CA in {TLS_CA_FILE} must sign it with SHA-256.",
			},
		}, tooMany()},
	}, {
		Word:    "chain_incomplete",
		Meaning: "The upstream did not send the certificate of the intermediate CA that issued its own.",
		Cures: []string{
			"Add the intermediate to the certificate file of the upstream at {UPSTREAM_ADDR}, " +
				"below its own certificate.",
			"PostgreSQL calls the file ssl_cert_file, and pgbouncer client_tls_cert_file.",
			"Or add that CA to {TLS_CA_FILE}: get it from its administrator, not from the network.",
		},
	}, {
		Word:    "cert_name_mismatch",
		Stages:  []diagnose.Stage{diagnose.StageName},
		Meaning: "The upstream's certificate is not valid for the name that is expected.",
		Cures: []string{
			"Set {own:TLS_SERVER_NAME} to a name of the certificate, if that is the server that you mean.",
			"Or get a certificate for the host in {UPSTREAM_ADDR}.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseHostFits),
			When: "the certificate is valid for the host of the address, and another name is configured",
			Cures: []string{
				"Unset {TLS_SERVER_NAME}: the certificate is valid for the host in {UPSTREAM_ADDR}.",
			},
		}, {
			Case: string(tlsorigin.CaseOtherName),
			When: "the certificate is from your own CA, and has another name",
			Cures: []string{
				"Set {own:TLS_SERVER_NAME}={}, if that is the server that you mean.",
				"Or get a certificate for the host in {UPSTREAM_ADDR}.",
			},
		}, {
			Case: string(tlsorigin.CaseWildcard),
			When: "the certificate is from your own CA, and has only a wildcard name",
			Cures: []string{
				"Set {own:TLS_SERVER_NAME} to a name that {} covers, if that is the server that you mean.",
				"Or get a certificate for the host in {UPSTREAM_ADDR}.",
			},
		}, {
			Case: string(tlsorigin.CaseNoName),
			When: "the certificate has no usable name",
			Cures: []string{
				"Reissue the upstream's certificate with the subject alternative name {}.",
			},
		}, {
			Case: string(tlsorigin.CaseNoNameOwnCA),
			When: "the certificate has no usable name, and is from your own CA",
			Cures: []string{
				"Reissue the upstream's certificate with the subject alternative name {}.",
				"Until then, {own:TLS_VERIFY}=verify-ca accepts any server with a certificate of your CA.",
			},
		}},
	}}
}

// tooMany is a case of two reasons: of one whose chain leads nowhere, too.
func tooMany() reasonCase {
	return reasonCase{
		Case: string(tlsorigin.CaseTooMany),
		When: "the upstream sends too many certificates",
		Cures: []string{
			"Configure the upstream at {UPSTREAM_ADDR} to send only its own certificate and its intermediates.",
		},
	}
}

func dateReasons() []reason {
	return []reason{{
		Word:    "cert_expired",
		Meaning: "The upstream's certificate has expired, or a CA above it.",
		Cures: []string{
			"Renew the certificate of the upstream at {UPSTREAM_ADDR}.",
			"If it is renewed already, reload the upstream.",
			"Otherwise check this machine's clock.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseMiddle),
			When: "an intermediate has expired",
			Cures: []string{
				"Put the renewed intermediate into the certificate file of the upstream at {UPSTREAM_ADDR}, " +
					"in place of the expired one.",
				"If the intermediate is not renewed yet, let its CA renew it.",
			},
		}, {
			Case: string(tlsorigin.CaseTrusted),
			When: "a trusted CA has expired",
			Cures: []string{
				"Replace the CA that the message names in {TLS_CA_FILE} by its renewed certificate.",
			},
		}, {
			Case: string(tlsorigin.CaseTrustedLeaf),
			When: "the upstream's certificate has expired, and is in the CA file itself",
			Cures: []string{
				"Renew the certificate of the upstream at {UPSTREAM_ADDR}, and put the new one into {TLS_CA_FILE}.",
			},
		}, {
			Case: string(tlsorigin.CaseClock),
			When: "every certificate of the chain has expired",
			Cures: []string{
				"Correct this machine's clock: the message says which time it has.",
				"If the clock is right, renew all certificates of the upstream at {UPSTREAM_ADDR}.",
			},
		}},
	}, {
		Word:    "cert_not_yet_valid",
		Meaning: "The upstream's certificate, or a CA above it, is not valid yet.",
		Cures: []string{
			"Correct this machine's clock: the message says which time it has.",
			"If the clock is right, reissue the certificate of the upstream at {UPSTREAM_ADDR} with an earlier start.",
		},
	}}
}

// policyReasons are about the rules that certificates must satisfy besides.
func policyReasons() []reason {
	return []reason{{
		Word:    "cert_revoked",
		Meaning: "A revocation list has the upstream's certificate, or a CA above it.",
		Cures: []string{
			"Replace the revoked certificate that the message names by a new one, at {UPSTREAM_ADDR}.",
			"If it is a CA, let another CA issue the upstream's own certificate.",
			"The list is in {TLS_CRL_FILE}.",
		},
	}, {
		Word:    "cert_pin_mismatch",
		Meaning: "The upstream's chain is valid, but has none of the pinned keys.",
		Cures: []string{
			"If the key was replaced on purpose, add {} to {own:TLS_PINS}.",
			"Otherwise find out who answers at {UPSTREAM_ADDR}.",
		},
		Cases: []reasonCase{{
			Case:  string(tlsorigin.CaseFingerprint),
			When:  "a pin is the hash of a whole certificate, and not of its key",
			Cures: []string{"Replace that pin in {TLS_PINS} by {}."},
		}},
	}, {
		Word:    "cert_usage",
		Meaning: "A certificate of the upstream's chain is not for servers.",
		Cures: []string{
			"Reissue the certificate that the message names, at {UPSTREAM_ADDR}, " +
				"for servers (extended key usage serverAuth).",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseKeyUsage),
			When: "its key usage lacks digitalSignature",
			Cures: []string{
				"Reissue the certificate of the upstream at {UPSTREAM_ADDR} with the key usage digitalSignature.",
			},
		}},
	}, invalidReason()}
}

func invalidReason() reason {
	return reason{
		Word:    "cert_invalid",
		Meaning: "A certificate of the upstream's chain is broken or too weak, or breaks another rule.",
		Cures: []string{
			"Replace the certificate of the upstream at {UPSTREAM_ADDR}: the message says what is wrong with it.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseShortKey),
			When: "a key is too short",
			Cures: []string{
				"Reissue the certificate that the message names with an ECDSA key, or RSA of 2048 bits or more.",
				"If it is a CA, replace it in {TLS_CA_FILE}, too.",
			},
		}, {
			Case: string(tlsorigin.CaseForgeable),
			When: "a signature uses an old hash, such as SHA-1, and can be forged",
			Cures: []string{
				"Reissue the certificate that the message names: its CA must sign it with SHA-256.",
			},
		}, {
			Case: string(tlsorigin.CaseKeyKind),
			When: "a key is of an unsupported type",
			Cures: []string{
				"Reissue the upstream's certificate with an ECDSA or Ed25519 key, or RSA of 2048 to 8192 bits.",
			},
		}, tooMany(), {
			Case: string(tlsorigin.CaseNoAuthority),
			When: "a certificate that is no CA signed another one",
			Cures: []string{
				"Let a CA issue the upstream's certificate: the issuer that the message names is none.",
				"Or reissue the certificate of that issuer as a CA (CA:TRUE, keyCertSign).",
			},
		}, {
			Case: string(tlsorigin.CasePathLength),
			When: "a CA allows fewer CAs below it (path length)",
			Cures: []string{
				"Reissue the CA that the message names with a longer path length.",
				"Or let a CA nearer to the root issue the upstream's certificate.",
			},
		}, {
			Case: string(tlsorigin.CaseConstraint),
			When: "a CA must not issue for a name (name constraints)",
			Cures: []string{
				"Let a CA that may issue for these names issue the upstream's certificate.",
			},
		}, {
			Case: string(tlsorigin.CaseExtension),
			When: "a critical extension is not understood",
			Cures: []string{
				"Reissue the certificate that the message names without that critical extension.",
			},
		}, {
			Case: string(tlsorigin.CaseListUsage),
			When: "a CA may not sign revocation lists",
			Cures: []string{
				"Reissue the CA {} with the key usage cRLSign.",
				"Or unset {own:TLS_CRL_FILE}: then revocation is not checked.",
			},
		}},
	}
}

// listReasons are about revocation lists.
func listReasons() []reason {
	return []reason{{
		Word:    "crl_missing",
		Meaning: "Revocation lists are configured, and a CA of the chain has none.",
		Cures: []string{
			"Add the current revocation list of {} to {TLS_CRL_FILE}.",
			"Each CA of the chain needs one.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseListSigner),
			When: "the list names the CA, but another key signed it",
			Cures: []string{
				"Replace the list in {TLS_CRL_FILE} by the current one of {}.",
				"That CA must sign its list with its current key.",
			},
		}},
	}, {
		Word:    "crl_stale",
		Meaning: "A revocation list is out of date.",
		Cures: []string{
			"Put the current revocation list of {} into {TLS_CRL_FILE}.",
			"If there is none, let that CA issue one.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseListBegins),
			When: "the list begins in the future",
			Cures: []string{
				"Correct this machine's clock: the message says which time it has.",
				"If the clock is right, put the current revocation list of {} into {TLS_CRL_FILE}.",
			},
		}},
	}}
}

// clientCertificateReasons are about pgorigin's own certificate.
func clientCertificateReasons() []reason {
	ends := append(ofDial(), end{pgwire.PhaseAuth, cannotConnect})
	stages := []diagnose.Stage{diagnose.StageClientCertificate}
	return []reason{{
		Word:    "client_cert_required",
		Stages:  append(stages, StageAuthentication, StageLogin),
		Ends:    append(ofRefusal(pgwire.PhaseAuth), ends...),
		Meaning: "The upstream demands a client certificate, and gets none.",
		Cures: []string{
			"Set {own:TLS_CERT_FILE} and {own:TLS_KEY_FILE} to a client certificate that the upstream trusts.",
		},
	}, {
		Word:    "client_cert_rejected",
		Stages:  append(stages, StageAuthentication, StageLogin),
		Ends:    append(ofRefusal(pgwire.PhaseAuth), ends...),
		Meaning: "The upstream rejects pgorigin's client certificate.",
		Cures: []string{
			"Read the upstream's log: it says what is wrong with the certificate in {TLS_CERT_FILE}.",
			"Then set {own:TLS_CERT_FILE} and {own:TLS_KEY_FILE} to one that the upstream accepts.",
		},
		Cases: []reasonCase{certificateUser(), {
			Case:  string(tlsorigin.CaseClientExpired),
			When:  "it has expired",
			Cures: []string{"Renew the certificate in {TLS_CERT_FILE}, with its key in {TLS_KEY_FILE}."},
		}, {
			Case: string(tlsorigin.CaseClientEarly),
			When: "it is not valid yet",
			Cures: []string{
				"Correct this machine's clock: the message says which time it has.",
				"If the clock is right, reissue the certificate in {TLS_CERT_FILE} with an earlier start.",
			},
		}, {
			Case: string(tlsorigin.CaseClientUsage),
			When: "it is not for clients",
			Cures: []string{
				"Reissue the certificate in {TLS_CERT_FILE}, with its key in {TLS_KEY_FILE}, for clients " +
					"(extended key usage clientAuth).",
			},
		}, {
			Case: string(tlsorigin.CaseClientChain),
			When: "its intermediate is missing",
			Cures: []string{
				"Add the certificate of {} to {TLS_CERT_FILE}, below the client certificate.",
			},
		}, {
			Case: string(tlsorigin.CaseClientIssuer),
			When: "the upstream does not trust its issuer",
			Cures: []string{
				"Add the certificate of {} to the upstream's ssl_ca_file (pgbouncer: client_tls_ca_file).",
				"Or set {own:TLS_CERT_FILE} and {own:TLS_KEY_FILE} to a certificate that the upstream trusts.",
			},
		}, {
			Case: string(tlsorigin.CaseClientKey),
			When: "the upstream does not accept the type of its key",
			Cures: []string{
				"Reissue the certificate in {TLS_CERT_FILE} with an ECDSA P-256 key, in {TLS_KEY_FILE}.",
			},
		}, {
			Case: string(tlsorigin.CaseClientListed),
			When: "its issuer is in the upstream's list of CAs, and the upstream does not trust it",
			Cures: []string{
				"Put the current revocation lists into the upstream's ssl_crl_file, if it has one.",
				"Put the current certificate of {} into its ssl_ca_file (pgbouncer: client_tls_ca_file).",
				"Or set {own:TLS_CERT_FILE} and {own:TLS_KEY_FILE} to a certificate that the upstream trusts.",
			},
		}, {
			Case:  string(tlsorigin.CaseClientRevoked),
			When:  "it has been revoked",
			Cures: []string{"Replace the certificate in {TLS_CERT_FILE}, and its key in {TLS_KEY_FILE}, by new ones."},
		}, {
			Case: string(tlsorigin.CaseClientDates),
			When: "the upstream says that it has expired, and it has not",
			Cures: []string{
				"Put a current list into the upstream's revocation list file (PostgreSQL: ssl_crl_file).",
				"If it has none, check the upstream's clock and the dates of the CAs that it trusts.",
			},
		}},
	}}
}
