package tlsorigin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, other := tlstest.NewCA("Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
		r := newRotation(t, secret(ca, issueClient(ca)), nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Watch(ctx, 30*time.Second); close(ended) }()
		wantReport := func(after time.Duration, changed bool, problem string) {
			t.Helper()
			time.Sleep(after - time.Millisecond)
			synctest.Wait()
			if early := r.taken(); len(early) != 0 {
				t.Errorf("%v too early: %+v", time.Millisecond, early)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			got := r.taken()
			if len(got) != 1 || got[0].found.Changed != changed {
				t.Fatalf("reports are %+v", got)
			}
			checkReloadError(t, got[0].err, problem)
		}
		wantReport(30*time.Second, false, "")
		r.swap(t, map[string][]byte{"ca.crt": other.PEM()})
		wantReport(30*time.Second, true, "")
		wantReport(30*time.Second, false, "")
		r.swap(t, map[string][]byte{"ca.crt": nil})
		wantReport(32*time.Second, false, "no such file")
		wantReport(28*time.Second, false, "no such file")
		r.swap(t, map[string][]byte{"ca.crt": []byte("nonsense")})
		time.Sleep(31 * time.Second) // in the middle of settling
		stop()
		<-ended
		if late := r.taken(); len(late) != 0 {
			t.Errorf("the end made a report: %+v", late)
		}
		began := time.Now()
		r.Watch(t.Context(), 0) // off
		if time.Since(began) != 0 {
			t.Error("an interval of zero waits")
		}
	})
}

// A pipe, such as a shell's process substitution, can be read only once.
func TestReloadLeavesPipesAlone(t *testing.T) {
	ca := tlstest.NewCA("Root", tlstest.P256)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	writer.Write(ca.PEM())
	writer.Close()
	earlier := snapshot{}
	info, _ := reader.Stat()
	data := make([]byte, 1<<16)
	n, _ := reader.Read(data)
	earlier["pipe"] = file{data: data[:n], mode: info.Mode()}
	later := takeSnapshot([]string{"pipe"}, earlier.forget())
	if got, _, err := later.read("pipe"); err != nil || !bytes.Equal(got, ca.PEM()) {
		t.Errorf("read %q, %v", got, err)
	}
	if _, _, err := later.read("elsewhere"); err == nil {
		t.Error("a file that is in no snapshot can be read")
	}
}

// Files that are replaced again and again while they are read are never taken in part.
func TestReloadOfFilesInMotion(t *testing.T) {
	ca := tlstest.NewCA("Root", tlstest.P256)
	states := []map[string][]byte{secret(ca, issueClient(ca)), secret(tlstest.NewCA("New Root", tlstest.P256), issueClient(ca))}
	r := newRotation(t, states[0], nil)
	want := map[string]string{}
	for _, state := range states {
		roots, _ := parseCertificates(state["ca.crt"], certificatesOnly)
		leaf, _ := parseCertificates(state["tls.crt"], certificatesOnly)
		want[Fingerprint(roots[0])] = Fingerprint(leaf[0])
	}
	var swapping sync.WaitGroup
	stop := make(chan struct{})
	swapping.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if err := r.Swap(states[i%2]); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	changes := 0
	for range 300 {
		if found, problem := r.lookOnce(); problem != nil && !errors.Is(problem, errUnsteady) {
			// Between two readings that agree, both may have met a folder that was just being removed.
			if !strings.Contains(problem.Error(), "no such file") {
				t.Fatal(problem)
			}
		} else if found.Changed {
			changes++
		}
		roots, client := r.Certificates()
		if want[Fingerprint(roots[0])] != Fingerprint(client[0]) {
			t.Fatal("roots of one state, client certificate of the other")
		}
	}
	close(stop)
	swapping.Wait()
	t.Logf("%d changes", changes)
}

// lookOnce is a Reload that waits for nothing.
func (r *rotation) lookOnce() (Reloaded, error) {
	<-r.reloads.turn
	defer r.reloads.giveBack()
	return r.look()
}
