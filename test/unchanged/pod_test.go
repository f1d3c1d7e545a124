//go:build unchanged

package unchanged

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/pgorigin/pgorigin/test/servers"
)

// nobody is the user of everything that runs in a pod, pgorigin as well.
const nobody = 65532

// pod is a set of namespaces with a network to a server: mounts, so that it has an /etc/hosts and an /etc/resolv.conf
// of its own, and a loopback device.
type pod struct {
	network int
	holder  *servers.Process // keeps the namespaces, and says who they are
	// folder belongs to nobody.
	folder string
}

func serverIP(network int) string { return fmt.Sprintf("10.84.%d.1", network) }

// localhost begins every hosts file.
const localhost = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"

// newPod makes a pod and the name server that it asks.
func newPod(ctx context.Context, network int) (*pod, error) {
	p := &pod{network: network, folder: filepath.Join(shared.lab.Dir(), fmt.Sprint("pod-", network))}
	// What the kubelet writes: each name with fewer than five dots is tried in the cluster's domains first.
	resolver := "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver " + serverIP(network) +
		"\noptions ndots:5\n"
	err := errors.Join(
		os.Mkdir(p.folder, 0o755), os.Chown(p.folder, nobody, nobody),
		p.setHosts(localhost), os.WriteFile(p.folder+".resolver", []byte(resolver), 0o644))
	if err != nil {
		return nil, fmt.Errorf("make a pod: %w", err)
	}
	script := "ip link set lo up && mount --bind " + p.folder + ".hosts /etc/hosts && " +
		"mount --bind " + p.folder + ".resolver /etc/resolv.conf && echo made && exec sleep infinity"
	cmd := exec.CommandContext(context.Background(), "unshare", "-mn", "sh", "-c", script) // the Lab ends it
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.holder, err = shared.lab.Start("pod", cmd); err != nil {
		return nil, err
	}
	if err := p.holder.Await(ctx, "made"); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	return p, errors.Join(p.connect(), answerNames(serverIP(network)))
}

// setHosts writes the pod's hosts file.
func (p *pod) setHosts(text string) error {
	return os.WriteFile(p.folder+".hosts", []byte(text), 0o644)
}

// connect lays a cable from the pod to its server.
func (p *pod) connect() error {
	there := "server" + strconv.Itoa(p.network)
	inPod := "nsenter -t " + strconv.Itoa(p.holder.PID()) + " -n "
	for _, command := range []string{
		"ip link add name " + there + " type veth peer name eth0 netns " + strconv.Itoa(p.holder.PID()),
		"ip address add " + serverIP(p.network) + "/24 dev " + there, "ip link set " + there + " up",
		inPod + fmt.Sprintf("ip address add 10.84.%d.2/24 dev eth0", p.network), inPod + "ip link set eth0 up",
	} {
		if err := run(command); err != nil {
			return err
		}
	}
	return nil
}

// enter is the beginning of a command line that runs a program in the pod, as nobody, by the same process id.
func (p *pod) enter() []string {
	id := strconv.Itoa(nobody)
	return []string{
		"/usr/bin/nsenter", "-t", strconv.Itoa(p.holder.PID()), "-m", "-n",
		"/usr/bin/setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--no-new-privs", "--pdeathsig", "KILL",
	}
}

// command is a program in the pod, not yet started, with exactly this environment besides PATH and HOME.
func (p *pod) command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	line := append(p.enter(), args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + p.folder, "LC_ALL=C.UTF-8"}, env...)
	cmd.Dir = p.folder
	return cmd
}

// program writes a script that runs a program in the pod, and returns its path.
func (p *pod) program(path string) (string, error) {
	script := p.folder + ".run"
	text := "#!/bin/sh\nexec " + strings.Join(p.enter(), " ") + " " + path + ` "$@"` + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return "", fmt.Errorf("write a script: %w", err)
	}
	return script, nil
}

// run runs a command outside the pods.
func run(command string) error {
	words := strings.Fields(command)
	cmd := exec.CommandContext(context.Background(), "/usr/bin/env", words...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %q: %w: %s", command, err, out)
	}
	return nil
}

// answerNames starts a name server that knows one name, by RFC 1035. Its address is the server's own.
func answerNames(ip string) error {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", ip+":53")
	if err != nil {
		return fmt.Errorf("start a name server: %w", err)
	}
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := answerName(packet[:n], net.ParseIP(ip).To4()); answer != nil {
				_, _ = conn.WriteTo(answer, from) // a lost packet
			}
		}
	}()
	return nil
}

func answerName(query, ip []byte) []byte {
	if len(query) < 17 {
		return nil
	}
	name, at := "", 12
	for at < len(query) && query[at] != 0 {
		end := at + 1 + int(query[at])
		name, at = name+string(query[at+1:end])+".", end
	}
	const noSuchName, typeA = 3, 1
	known, ofTypeA := strings.EqualFold(name, realName+"."), query[at+2] == typeA
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[12:at+5]...)
	switch {
	case !known:
		answer[3] |= noSuchName
	case ofTypeA:
		answer[7] = 1
		answer = append(append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4), ip...)
	}
	return answer
}
