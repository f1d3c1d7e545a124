package tlsorigin

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// twoWorlds are two states of a Secret. The upstream's root is in both; each has a further root and a client
// certificate of its own, by which it is known.
type twoWorlds struct {
	upstream *tlstest.Pair
	states   [2]map[string][]byte
	roots    map[string]string // fingerprint of the further root by that of the client certificate
}

func newTwoWorlds() twoWorlds {
	common := tlstest.NewCA("Server Root", tlstest.P256)
	w := twoWorlds{upstream: common.Issue(tlstest.Leaf{DNSNames: []string{testName}}), roots: map[string]string{}}
	for i, name := range []string{"one", "two"} {
		mark := tlstest.NewCA(name, tlstest.P256)
		client := issueClient(mark)
		w.states[i] = secret(common, client)
		w.states[i]["ca.crt"] = append(w.states[i]["ca.crt"], mark.PEM()...)
		w.roots[Fingerprint(client.Leaf)] = Fingerprint(mark.Cert)
	}
	return w
}

// tellsClient returns a script that sends the fingerprint of the client certificate that it was presented.
func (w twoWorlds) tellsClient() func(net.Conn) {
	config := peertest.ServerConfig(w.upstream)
	config.ClientAuth = tls.RequireAnyClientCert
	return func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		server := tls.Server(conn, config)
		if server.Handshake() == nil {
			io.WriteString(server, Fingerprint(server.ConnectionState().PeerCertificates[0]))
			server.Close()
		}
	}
}

// dial opens a connection and checks that nothing of it is of the other world.
func (w twoWorlds) dial(t *testing.T, r *rotation) {
	used := r.state.Load()
	conn, err := r.Dial(t.Context(), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	presented, _ := io.ReadAll(conn)
	root, known := w.roots[string(presented)]
	if !known {
		t.Errorf("the upstream saw client certificate %q", presented)
	}
	// If no reload came in between, its roots are those of the same world.
	if r.Current(conn) && used == r.state.Load() && Fingerprint(used.policy.Roots()[1]) != root {
		t.Error("roots of one world, client certificate of the other")
	}
}

// Connections that are opened while the files change back and forth never see half of each.
func TestDialsDuringReloads(t *testing.T) {
	const dialling, reloading = 8, 100
	w := newTwoWorlds()
	p := peertest.Start(t, w.tellsClient())
	go func() {
		for range p.Got { // nobody else reads what the peer received
		}
	}()
	r := newRotation(t, w.states[0], nil, p.Addr)
	var running sync.WaitGroup
	var dials atomic.Int64
	dialled, stop := make(chan struct{}), make(chan struct{})
	for range dialling {
		running.Go(func() {
			for !t.Failed() {
				w.dial(t, r)
				dials.Add(1)
				select {
				case dialled <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
	}
	for i := range reloading {
		state := w.states[(i+1)%2]
		if err := r.Swap(state); err != nil {
			t.Fatal(err)
		}
		if found, err := r.Reload(t.Context()); err != nil || !found.Changed {
			t.Fatalf("reload found %+v, %v", found, err)
		}
		if leaf := r.state.Load().chain[0]; !bytes.Equal(state["tls.crt"], pemOf(leaf.Raw)) {
			t.Fatal("Reload returned, but the old state is in force")
		}
		for range 3 {
			select {
			case <-dialled:
			case <-time.After(20 * time.Second):
				t.Fatal("nobody dials any more")
			}
		}
	}
	close(stop)
	running.Wait()
	t.Logf("%d dials during %d reloads", dials.Load(), reloading)
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
