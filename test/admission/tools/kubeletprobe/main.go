// Command kubeletprobe asks one URL as a kubelet does, with the kubelet's own library: kubeletprobe https://10.0.0.1:8443/readyz.
// It prints result and answer. The exit code is 0 when the kubelet would call the probe a success.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/kubernetes/pkg/probe"
	probehttp "k8s.io/kubernetes/pkg/probe/http"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubeletprobe URL")
		os.Exit(2)
	}
	request, err := http.NewRequest(http.MethodGet, os.Args[1], nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	result, answer, err := probehttp.New(false).Probe(request, 5*time.Second)
	fmt.Println(result, answer)
	if err != nil || result != probe.Success {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
}
