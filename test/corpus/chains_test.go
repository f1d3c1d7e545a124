package corpus

import (
	"crypto/x509"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const day = 24 * time.Hour

// expired and future change the dates of an authority.
func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-20*day), time.Now().Add(-10*day)
}

func future(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(10*day), time.Now().Add(20*day)
}

// leaf is the certificate of cases that are about something else.
func leaf() tlstest.Leaf { return dns(defaultHost) }

func changed(change func(*x509.Certificate)) tlstest.Leaf {
	l := leaf()
	l.Template = change
	return l
}

// chain is a case that is asked in both modes.
func chain(name string, pair *tlstest.Pair, roots ...*tlstest.CA) certCase {
	return certCase{name: name, pair: pair, roots: certs(roots...), both: true}
}

func chainCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	stranger := tlstest.NewCA("Stranger", tlstest.P256)
	namesake := tlstest.NewCA("Root", tlstest.P256)
	upper := root.Intermediate("Upper", tlstest.P256)
	lower := upper.Intermediate("Lower", tlstest.P256)
	pair := lower.Issue(leaf())
	short := upper.Issue(leaf())
	newRoot := tlstest.NewCA("New Root", tlstest.P256)
	below := root.CrossSign(newRoot, nil).Issue(leaf())
	oldBridge := root.CrossSign(newRoot, expired)
	return []certCase{
		chain("root and leaf", root.Issue(leaf()), root),
		chain("one intermediate", short, root),
		chain("two intermediates", pair, root),
		chain("two intermediates, upper one not sent", pair.WithChain(lower.Cert), root),
		chain("two intermediates, lower one not sent", pair.WithChain(upper.Cert), root),
		chain("intermediate not sent", short.WithChain(), root),
		chain("intermediate not sent, but among the roots", short.WithChain(), root, upper),
		chain("intermediates in the wrong order", pair.WithChain(upper.Cert, lower.Cert), root),
		chain("intermediate sent twice", short.WithChain(upper.Cert, upper.Cert), root),
		chain("root sent along", short.WithChain(upper.Cert, root.Cert), root),
		chain("unrelated certificate sent along", short.WithChain(stranger.Cert, upper.Cert), root),
		chain("unknown root", stranger.Issue(leaf()), root),
		chain("unknown root sent along", stranger.Issue(leaf()).WithChain(stranger.Cert), root),
		chain("several roots, the last one is it", root.Issue(leaf()), stranger, newRoot, root),
		chain("root of the same name with another key", namesake.Issue(leaf()), root),
		chain("two roots of the same name, the second is it", namesake.Issue(leaf()), root, namesake),
		chain("self-signed, unknown", tlstest.SelfSigned(leaf()), root),
		chain("cross-signed, old root known", below, root),
		chain("cross-signed, new root known", below, newRoot),
		chain("cross-signed, both roots known", below, root, newRoot),
		chain("cross-signed by an expired certificate, new root known", oldBridge.Issue(leaf()), newRoot),
		chain("cross-signed by an expired certificate, old root known", oldBridge.Issue(leaf()), root),
	}
}

func anchorCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	between := root.Intermediate("Intermediate", tlstest.P256)
	pair := between.Issue(leaf())
	self := tlstest.SelfSigned(leaf())
	selfNamed := tlstest.SelfSigned(dns("other.test"))
	old := root.Issue(tlstest.Leaf{DNSNames: []string{defaultHost}, NotAfter: time.Now().Add(-day)})
	direct := root.Issue(leaf())
	anchored := func(name string, pair *tlstest.Pair, roots ...*x509.Certificate) certCase {
		return certCase{name: name, pair: pair, roots: roots, both: true}
	}
	return []certCase{
		anchored("intermediate as the only root", pair, between.Cert),
		anchored("intermediate beside its root", pair, root.Cert, between.Cert),
		anchored("server's certificate as the only root", direct, direct.Leaf),
		anchored("server's self-signed certificate as the only root", self, self.Leaf),
		anchored("server's self-signed certificate of another name as the only root", selfNamed, selfNamed.Leaf),
		anchored("server's expired certificate as the only root", old, old.Leaf),
		anchored("another certificate of the same authority as the only root", root.Issue(leaf()), direct.Leaf),
	}
}

func authorityCases() []certCase {
	authority := func(change func(*x509.Certificate)) tlstest.Authority {
		return tlstest.Authority{Name: "Changed", Template: change}
	}
	root := tlstest.NewCA("Root", tlstest.P256)
	below := func(name string, change func(*x509.Certificate)) certCase {
		return chain(name, root.Authority(authority(change)).Issue(leaf()), root)
	}
	anchor := func(name string, change func(*x509.Certificate)) certCase {
		ca := tlstest.NewAuthority(authority(change))
		return chain(name, ca.Issue(leaf()), ca)
	}
	noAuthority := func(c *x509.Certificate) { c.IsCA = false }
	noConstraints := func(c *x509.Certificate) { c.BasicConstraintsValid = false }
	noCertSign := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature }
	length := func(n int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
	}
	deep := func(name string, n int) certCase {
		return chain(name, root.Authority(authority(length(n))).Intermediate("Deep", tlstest.P256).Issue(leaf()), root)
	}
	limited := tlstest.NewAuthority(authority(length(0)))
	bad := root.Issue(tlstest.Leaf{NotAfter: time.Now().Add(-10 * day), DNSNames: []string{defaultHost}})
	early := root.Issue(tlstest.Leaf{NotBefore: time.Now().Add(10 * day), DNSNames: []string{defaultHost}})
	old1 := tlstest.NewAuthority(tlstest.Authority{Name: "Version 1", Form: tlstest.Form{Version1: true}})
	between1 := root.Authority(tlstest.Authority{Name: "Version 1", Form: tlstest.Form{Version1: true}})
	nameless := leaf()
	nameless.CommonName, nameless.Form.Version1 = defaultHost, true
	return []certCase{
		chain("expired", bad, root), chain("not yet valid", early, root),
		below("expired intermediate", expired), below("intermediate not yet valid", future),
		anchor("expired root", expired), anchor("root not yet valid", future),
		below("intermediate is no authority", noAuthority), anchor("root is no authority", noAuthority),
		below("intermediate without basic constraints", noConstraints), anchor("root without basic constraints", noConstraints),
		below("intermediate without keyCertSign", noCertSign), anchor("root without keyCertSign", noCertSign),
		below("path length 0 with nothing below", length(0)), deep("path length 0 with an intermediate below", 0),
		deep("path length 1 with an intermediate below", 1),
		chain("root of path length 0 with an intermediate", limited.Intermediate("Deep", tlstest.P256).Issue(leaf()), limited),
		chain("root of X.509 version 1", old1.Issue(leaf()), old1),
		chain("intermediate of X.509 version 1", between1.Issue(leaf()), root),
		chain("server's certificate of X.509 version 1", root.Issue(nameless), root),
		chain("server's certificate is an authority", root.Issue(changed(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })), root),
	}
}
