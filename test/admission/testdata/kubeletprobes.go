// Command kubeletprobes asks every probe of a pod as a kubelet does, with the kubelet's own library:
// kubeletprobes 10.0.0.1 <pod.json asks a pod with that address. It prints a line for each probe. The exit code is 0 when
// the kubelet would call all of them a success. test/admission/build compiles it, in the module of a Kubernetes.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	probehttp "k8s.io/kubernetes/pkg/probe/http"
)

func main() {
	var pod v1.Pod
	if err := json.NewDecoder(os.Stdin).Decode(&pod); err != nil || len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubeletprobes ADDRESS <pod.json:", err)
		os.Exit(2)
	}
	asked, failed := 0, 0
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		for _, p := range []struct {
			name string
			spec *v1.Probe
		}{{"startupProbe", c.StartupProbe}, {"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}} {
			if p.spec == nil {
				continue
			}
			asked++
			result, answer, err := ask(p.spec, &c, os.Args[1])
			fmt.Printf("%s %s: %s %q\n", c.Name, p.name, result, answer)
			if err != nil || result != probe.Success { // a redirect to another host is a warning
				fmt.Fprintln(os.Stderr, "failed:", c.Name, p.name, result, answer, err)
				failed++
			}
		}
	}
	if asked == 0 || failed > 0 {
		fmt.Fprintf(os.Stderr, "%d of %d probes failed\n", failed, asked)
		os.Exit(1)
	}
}

// ask does what runProbe of k8s.io/kubernetes/pkg/kubelet/prober does.
func ask(spec *v1.Probe, container *v1.Container, address string) (probe.Result, string, error) {
	if spec.HTTPGet == nil {
		return probe.Unknown, "", fmt.Errorf("not an HTTP probe")
	}
	request, err := probehttp.NewRequestForHTTPGetAction(spec.HTTPGet, container, address, "probe")
	if err != nil {
		return probe.Unknown, "", err
	}
	return probehttp.New(false).Probe(request, time.Duration(spec.TimeoutSeconds)*time.Second)
}
