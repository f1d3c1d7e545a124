package advice

import (
	"slices"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

func upstreamReasons() []reason {
	return []reason{{
		Word:    "upstream_dns",
		Stages:  []diagnose.Stage{diagnose.StageDNS},
		Ends:    ofOutage(),
		Meaning: "The upstream's name does not exist in DNS, DNS gave no answer, or the name leads to pgorigin.",
		Cures: []string{
			"Correct the host in {UPSTREAM_ADDR}.",
			"In Kubernetes, the host of a service is NAME.NAMESPACE.svc.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseShortName),
			When: "the name has no dot and does not exist",
			Cures: []string{
				"Set the host in {UPSTREAM_ADDR} to the full name: for a Kubernetes service, {}.",
				"Check the spelling of the host.",
			},
		}, {
			Case: string(tlsorigin.CaseNameServer),
			When: "no DNS server gave an answer",
			Cures: []string{
				"Check the DNS servers in /etc/resolv.conf.",
				"Let network policies pass DNS: UDP and TCP port 53.",
				"Or set {own:UPSTREAM_ADDR} to an IP address, and {own:TLS_SERVER_NAME} to the name.",
			},
		}, {
			Case: string(tlsorigin.CaseLoop),
			When: "the name leads to pgorigin itself",
			Cures: []string{
				"Set {own:UPSTREAM_RESOLVER}=dns if /etc/hosts leads the name to pgorigin: pgorigin then does not read that file.",
				"If DNS does, correct the record, or the host in {UPSTREAM_ADDR}.",
			},
		}, {
			Case: string(tlsorigin.CaseLoopPast),
			When: "the name leads to pgorigin itself, and /etc/hosts was not read",
			Cures: []string{
				"Set {own:UPSTREAM_RESOLVER} to the IP address of a DNS server that knows the real server: a DNS server " +
					"of this machine may read its /etc/hosts.",
				"Or correct the record of the name in DNS.",
			},
		}},
	}, {
		Word:    "dns_no_address",
		Stages:  []diagnose.Stage{diagnose.StageDNS},
		Ends:    ofOutage(),
		Meaning: "The upstream's name exists in DNS, but has neither an IPv4 nor an IPv6 address.",
		Cures: []string{
			"Correct the host in {UPSTREAM_ADDR}, or give it an A or AAAA record.",
			"In Kubernetes, a headless service has no address while none of its pods is ready.",
		},
	}, {
		Word:    "upstream_refused",
		Stages:  []diagnose.Stage{diagnose.StageTCP},
		Ends:    ofOutage(),
		Meaning: "The upstream's machine refuses connections to this port.",
		Cures: []string{
			"Check that the upstream runs.",
			"Check the port in {UPSTREAM_ADDR}: pgbouncer usually has 6432, PostgreSQL 5432.",
		},
	}, {
		Word:    "upstream_unreachable",
		Stages:  []diagnose.Stage{diagnose.StageTCP, diagnose.StageSSLRequest, diagnose.StageTLS},
		Ends:    ofDoubt(),
		Meaning: "No route leads to the upstream.",
		Cures: []string{
			"Check {UPSTREAM_ADDR}.",
			"Check the routes and network policies on the way there.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseNoHost),
			When: "no machine answers at the address, or a firewall rejects the connection",
			Cures: []string{
				"Check that the machine at {UPSTREAM_ADDR} runs, and that no firewall on the way rejects its port.",
				"Check that the address is still that of the server.",
			},
		}, {
			Case: string(tlsorigin.CaseThisMachine),
			When: "this machine has no file descriptor, memory or port left",
			Cures: []string{
				"Raise pgorigin's limit of open files, or its memory limit.",
				"Or let applications use fewer connections.",
			},
		}},
	}, {
		Word:    "upstream_timeout",
		Stages:  []diagnose.Stage{diagnose.StageTCP},
		Ends:    ofOutage(),
		Meaning: "The upstream's machine accepted no TCP connection in time.",
		Cures: []string{
			"Check firewalls and network policies on the way to {UPSTREAM_ADDR}.",
			"Check that the machine runs, and that the address is still that of the server.",
		},
	}, {
		Word:    "upstream_silent",
		Stages:  []diagnose.Stage{diagnose.StageSSLRequest, diagnose.StageTLS},
		Ends:    ofOutage(),
		Meaning: "The upstream accepted TCP, but gave no answer. So a firewall is seldom the cause.",
		Cures: []string{
			"Correct the port in {UPSTREAM_ADDR}: pgbouncer usually has 6432, PostgreSQL 5432.",
			"Check that the server does not hang, and that a load balancer has a healthy server behind it.",
			"For a port that takes TLS only, set {own:TLS_NEGOTIATION}=direct.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseShortTimeout),
			When: "the timeout was less than a second",
			Cures: []string{
				"Raise {DIAL_TIMEOUT}: its default is 10s.",
				"Check the load of the upstream at {UPSTREAM_ADDR}, and the port.",
			},
		}, {
			Case: string(tlsorigin.CaseRightPort),
			When: "the port is a usual one, or was verified before",
			Cures: []string{
				"Restart the upstream at {UPSTREAM_ADDR}, if it hangs.",
				"If a load balancer is there, check that it has a healthy server behind it.",
				"Or raise {DIAL_TIMEOUT}.",
			},
		}},
	}, {
		Word: "upstream_gone",
		Ends: slices.Concat(ofDoubt(), ofLoss(), []end{{pgwire.PhaseRelay, serversOwn}}),
		Stages: []diagnose.Stage{
			diagnose.StageSSLRequest, diagnose.StageTLS, StageAuthentication, StageLogin,
		},
		Meaning: "The upstream closed or reset the connection.",
		Cures: []string{
			"Connect again.",
			"If this repeats, read the log of the upstream at {UPSTREAM_ADDR}: it says why.",
			"If its log has nothing, a firewall or load balancer on the way may have ended the connection.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseNoAnswer),
			When: "it ended in answer to SSLRequest",
			Cures: []string{
				"Check that a server runs behind {UPSTREAM_ADDR}: a load balancer without one closes connections.",
				"Check the port: pgbouncer usually has 6432, PostgreSQL 5432.",
				"For a port that takes TLS only, set {own:TLS_NEGOTIATION}=direct.",
			},
		}, {
			Case: string(tlsorigin.CaseInHandshake),
			When: "it ended in the TLS handshake",
			Cures: []string{
				"Read the log of the upstream at {UPSTREAM_ADDR}: it says why it ended TLS.",
				"If the log has nothing, make the inspection box or firewall on the way pass TLS.",
			},
		}, onlyHybrid(), onlyGroups(), timeLimit(), didNotWait(), recoveryConflict()},
	}, upstreamShutdown(), {
		Word: "upstream_lost",
		Stages: []diagnose.Stage{
			diagnose.StageSSLRequest, diagnose.StageTLS, StageAuthentication, StageLogin,
		},
		Ends:    append(ofOutage(), ofLoss()...),
		Meaning: "The upstream no longer acknowledges data, or no route leads there any more.",
		Cures: []string{
			"Connect again.",
			"If this repeats, check the machine at {UPSTREAM_ADDR} and the network on the way there.",
		},
	}, {
		Word:    "upstream_protocol",
		Stages:  []diagnose.Stage{StageAuthentication, StageLogin},
		Ends:    []end{{pgwire.PhaseAuth, protocolViolation}, {pgwire.PhaseRelay, protocolViolation}},
		Meaning: "The upstream breaks the Postgres protocol inside TLS.",
		Cures:   []string{"Correct {UPSTREAM_ADDR}: it must be the address of a pgbouncer or PostgreSQL."},
		Cases:   protocolCases(),
	}}
}

// onlyHybrid is a case of a large ClientHello without an answer, and so is onlyGroups.
func onlyHybrid() reasonCase {
	return reasonCase{
		Case: string(tlsorigin.CaseOnlyHybrid),
		When: "only a large ClientHello may be sent, because post-quantum key exchange is required",
		Cures: []string{
			"Set {own:TLS_POST_QUANTUM}=prefer: pgorigin then tries a smaller ClientHello, too.",
			"Or let firewalls and inspection boxes on the way to {UPSTREAM_ADDR} pass a ClientHello of two packets.",
			"Check the MTU on the way, too.",
		},
	}
}

func onlyGroups() reasonCase {
	return reasonCase{
		Case: string(tlsorigin.CaseGroups),
		When: "only a large ClientHello may be sent, because of the list of groups",
		Cures: []string{
			"Add X25519 and P-256 to {own:TLS_GROUPS}: pgorigin then tries a smaller ClientHello, too.",
			"Or let firewalls and inspection boxes on the way to {UPSTREAM_ADDR} pass a ClientHello of two packets.",
		},
	}
}

func tlsReasons() []reason {
	return []reason{{
		Word:    "not_postgres",
		Stages:  []diagnose.Stage{diagnose.StageSSLRequest, diagnose.StageTLS},
		Ends:    ofDial(),
		Meaning: "The upstream answers, but not like a Postgres server. pgorigin does not trust the answer.",
		Cures: []string{
			"Correct the port in {UPSTREAM_ADDR}: pgbouncer usually has 6432, PostgreSQL 5432.",
			"If the port is right, find out which program answers there.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseExpectsTLS),
			When: "it expects TLS from the first byte",
			Cures: []string{
				"Set {own:TLS_NEGOTIATION}=direct if a Postgres server is behind this port.",
				"Otherwise correct the port in {UPSTREAM_ADDR}: pgbouncer usually has 6432, PostgreSQL 5432.",
			},
		}},
	}, {
		Word:    "tls_refused",
		Stages:  []diagnose.Stage{diagnose.StageSSLRequest},
		Ends:    ofDial(),
		Meaning: "The upstream answered SSLRequest with N: it has no TLS.",
		Cures: []string{
			"Turn TLS on in the upstream (pgbouncer: client_tls_sslmode=require, PostgreSQL: ssl=on).",
			"Or set {own:UPSTREAM_ADDR} to an upstream that has TLS.",
		},
	}, {
		Word:    "tls_injection",
		Stages:  []diagnose.Stage{diagnose.StageSSLRequest},
		Ends:    ofDial(),
		Meaning: "Plaintext came after the answer to SSLRequest. Somebody on the way may have injected it.",
		Cures: []string{
			"Find out who injects plaintext on the way to {UPSTREAM_ADDR} before you connect again.",
		},
	}, {
		Word:    "tls_protocol",
		Stages:  []diagnose.Stage{diagnose.StageSSLRequest, diagnose.StageTLS},
		Ends:    ofConnection(),
		Meaning: "What the upstream sent is not TLS, or breaks the rules of TLS.",
		Cures: []string{
			"Check that {UPSTREAM_ADDR} is a Postgres port.",
			"Read the upstream's log: it says why.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseErrorAnswer),
			When: "it answered SSLRequest with an error",
			Cures: []string{
				"Connect again: the upstream at {UPSTREAM_ADDR} may have had too many connections or no memory.",
				"If this repeats, read its log: it says why.",
			},
		}, {
			Case:  string(tlsorigin.CaseNoDirectTLS),
			When:  "the upstream does not take direct TLS",
			Cures: []string{"Set {own:TLS_NEGOTIATION}=postgres.", "Direct TLS needs PostgreSQL 17 or pgbouncer 1.25."},
		}},
	}, {
		Word:    "tls_timeout",
		Stages:  []diagnose.Stage{diagnose.StageTLS, diagnose.StageKeyExchange},
		Ends:    ofDoubt(),
		Meaning: "The upstream accepted the connection, but did not finish TLS in time.",
		Cures: []string{
			"Restart the upstream at {UPSTREAM_ADDR}, if it hangs.",
			"Its answer may be lost: let ICMP 'fragmentation needed' pass, or lower the MTU of this machine or pod.",
			"Or raise {DIAL_TIMEOUT}.",
		},
		Cases: []reasonCase{onlyHybrid(), onlyGroups(), {
			Case: string(tlsorigin.CaseSlow),
			When: "the upstream is slow",
			Cures: []string{
				"Raise {DIAL_TIMEOUT}.",
				"Check the load of the upstream at {UPSTREAM_ADDR}, and the network on the way there.",
			},
		}, {
			Case: string(tlsorigin.CaseBusyHere),
			When: "this machine is busy",
			Cures: []string{
				"Give pgorigin more processor time; in Kubernetes, raise its CPU limit.",
				"Or let applications keep their connections to {LISTEN_ADDR}.",
				"Or raise {DIAL_TIMEOUT}.",
			},
		}},
	}, {
		Word:    "tls_alert",
		Stages:  []diagnose.Stage{diagnose.StageTLS, StageAuthentication, StageLogin},
		Ends:    ofConnection(),
		Meaning: "The upstream ended TLS with an alert.",
		Cures: []string{
			"Read the log of the upstream at {UPSTREAM_ADDR}: it says why.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseLargeHello),
			When: "it does not understand a ClientHello with post-quantum key exchange",
			Cures: []string{
				"Set {own:TLS_POST_QUANTUM}=off.",
				"Or update the TLS library of the upstream at {UPSTREAM_ADDR}, or the inspection box on the way.",
			},
		}},
	}, {
		Word:    "tls_no_common",
		Stages:  []diagnose.Stage{diagnose.StageTLS},
		Ends:    ofDial(),
		Meaning: "Upstream and pgorigin have no TLS version, cipher, key exchange or signature in common.",
		Cures: []string{
			"Reset ssl_ciphers and ssl_ecdh_curve of the PostgreSQL at {UPSTREAM_ADDR} to their defaults " +
				"(pgbouncer: client_tls_ciphers, client_tls_ecdhcurve).",
			"It needs a cipher with ECDHE and AES-GCM or ChaCha20, and a group that the message names.",
			"Its certificate needs an ECDSA, RSA or Ed25519 key.",
			"The upstream's log says what is missing.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseOnlyHybrid),
			When: "post-quantum key exchange is required",
			Cures: []string{
				"Set {own:TLS_POST_QUANTUM}=prefer.",
				"Or update the upstream at {UPSTREAM_ADDR} to OpenSSL 3.5, which has X25519MLKEM768.",
			},
		}, {
			Case: string(tlsorigin.CaseOnlyTLS13),
			When: "TLS 1.3 is required",
			Cures: []string{
				"Set {own:TLS_MIN_VERSION}=1.2.",
				"Or allow TLS 1.3 at the upstream (PostgreSQL: ssl_max_protocol_version, " +
					"pgbouncer: client_tls_protocols).",
			},
		}, {
			Case: string(tlsorigin.CaseOldTLS),
			When: "the upstream has TLS 1.1 or earlier",
			Cures: []string{
				"Allow TLS 1.2 or 1.3 at the upstream at {UPSTREAM_ADDR} (PostgreSQL: ssl_max_protocol_version, " +
					"pgbouncer: client_tls_protocols).",
				"If it has neither, update it and its TLS library.",
			},
		}, {
			Case: string(tlsorigin.CaseGroups),
			When: "the list of groups leaves out P-256",
			Cures: []string{
				"Add P-256 to {own:TLS_GROUPS}: PostgreSQL 17 and earlier accept only that group by default.",
				"Or remove {own:TLS_GROUPS}.",
			},
		}},
	}, {
		Word:    "tls_server_name",
		Stages:  []diagnose.Stage{diagnose.StageTLS},
		Ends:    ofDial(),
		Meaning: "The upstream does not know the server name (SNI) that it was asked for.",
		Cures: []string{
			"Set {own:TLS_SERVER_NAME} to a name that the upstream knows.",
			"Check that {UPSTREAM_ADDR} is the address of that upstream.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseNoServerName),
			When: "no name was sent, because it is an IP address",
			Cures: []string{
				"Set {own:TLS_SERVER_NAME} to the DNS name of the upstream.",
				"Or set {own:UPSTREAM_ADDR} to that name.",
			},
		}},
	}, {
		Word:    "tls_alpn",
		Stages:  []diagnose.Stage{diagnose.StageTLS},
		Ends:    ofDial(),
		Meaning: "The upstream did not agree to speak Postgres inside TLS.",
		Cures: []string{
			"Check that {UPSTREAM_ADDR} is a Postgres port.",
			"Or set {own:TLS_NEGOTIATION}=postgres.",
		},
		Cases: []reasonCase{{
			Case: string(tlsorigin.CaseNoProtocol),
			When: "it refused the protocol after SSLRequest",
			Cures: []string{
				"Let the TLS proxy at {UPSTREAM_ADDR} accept the protocol postgresql (ALPN): " +
					"PostgreSQL and pgbouncer do.",
			},
		}},
	}}
}
