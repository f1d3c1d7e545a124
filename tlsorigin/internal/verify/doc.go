// Package verify decides whether the certificates of an upstream are accepted, and explains why not.
//
// It knows certificates, revocation lists, pins and the time. It must not know the network, files, the TLS
// handshake or the settings of a Dialer. Every function works on its arguments and keeps no state, with two
// exceptions. A Policy remembers chains whose signatures it has verified (known.go). A revocation list
// remembers whether an authority has signed it.
//
// Start with Policy.Verify in policy.go, which decides. Policy.Explain in explain.go decides nothing: it
// finds the words for a Refusal, after the decision. A peer without any proof can make both run, so both have
// a budget of signature checks (search.go).
package verify
