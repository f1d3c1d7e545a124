package tlsorigin

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
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

// While a file is on a mount that does not answer, the state in force stays, logins are not held up twice,
// and the end of a process is not held up at all.
func TestReloadOfStalledFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Root", tlstest.P256)
		r := newRotation(t, secret(ca, issueClient(ca)), nil)
		before, answer := r.state.Load(), make(chan struct{})
		r.reloads.read = func(path string) ([]byte, fs.FileMode, error) {
			if path == r.Path("tls.crt") {
				<-answer
			}
			return readFile(path)
		}
		stalled := func(took time.Duration) {
			t.Helper()
			began := time.Now()
			found, err := r.Reload(t.Context())
			if !errors.Is(err, configfile.ErrStalled) || !slices.Equal(found.Files, []string{r.Path("tls.crt")}) {
				t.Errorf("found %+v, error %v", found, err)
			}
			checkReloadError(t, err, "CertFile")
			if time.Since(began) != took || r.state.Load() != before {
				t.Errorf("after %v, and the state in force has changed: %v", time.Since(began), r.state.Load() != before)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Watch(ctx, time.Second); close(ended) }()
		time.Sleep(2 * time.Second)
		stop()
		<-ended // although it looks
		stalled(configfile.Timeout - time.Second)
		stalled(0)
		r.reloadBriefly()
		synctest.Wait()
		r.swap(t, map[string][]byte{"ca.crt": ca.PEM()})
		close(answer)
		synctest.Wait()
		r.taken()
		if found, err := r.Reload(t.Context()); err != nil || found.Changed {
			t.Errorf("found %+v, error %v", found, err)
		}
		if reports := r.taken(); len(reports) != 1 || reports[0].err != nil {
			t.Errorf("reports %+v", reports)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Files that are replaced again and again while they are read are never taken in part.
func TestReloadOfFilesInMotion(t *testing.T) {
	ca := tlstest.NewCA("Root", tlstest.P256)
	states := []map[string][]byte{secret(ca, issueClient(ca)), secret(tlstest.NewCA("New Root", tlstest.P256), issueClient(ca))}
	r := newRotation(t, states[0], nil)
	want := map[string]string{}
	for _, state := range states {
		roots, _ := verify.ParseCertificates(state["ca.crt"], verify.CertificatesOnly)
		leaf, _ := verify.ParseCertificates(state["tls.crt"], verify.CertificatesOnly)
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
	<-r.reloads.token
	defer r.reloads.unlock()
	return r.reloadOnce(context.Background())
}
