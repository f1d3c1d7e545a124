package inject

import (
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// pod has the fields that matter of a Pod, or of the template of one.
type pod struct {
	Metadata metadata `json:"metadata" yaml:"metadata"`
	Spec     podSpec  `json:"spec" yaml:"spec"`
}

type metadata struct {
	Name         string            `json:"name" yaml:"name"`
	GenerateName string            `json:"generateName" yaml:"generateName"`
	Namespace    string            `json:"namespace" yaml:"namespace"`
	Labels       map[string]string `json:"labels" yaml:"labels"`
	Annotations  map[string]string `json:"annotations" yaml:"annotations"`
}

type podSpec struct {
	HostNetwork     bool              `json:"hostNetwork" yaml:"hostNetwork"`
	OS              named             `json:"os" yaml:"os"`
	NodeSelector    map[string]string `json:"nodeSelector" yaml:"nodeSelector"`
	SecurityContext securityContext   `json:"securityContext" yaml:"securityContext"`
	InitContainers  []podContainer    `json:"initContainers" yaml:"initContainers"`
	Containers      []podContainer    `json:"containers" yaml:"containers"`
	Volumes         []named           `json:"volumes" yaml:"volumes"`
	HostAliases     []hostAlias       `json:"hostAliases" yaml:"hostAliases"`
}

type securityContext struct {
	RunAsUser *int64 `json:"runAsUser" yaml:"runAsUser"`
}

type podContainer struct {
	Name    string     `json:"name" yaml:"name"`
	Command []string   `json:"command" yaml:"command"`
	Args    []string   `json:"args" yaml:"args"`
	Env     []variable `json:"env" yaml:"env"`
	EnvFrom []envFrom  `json:"envFrom" yaml:"envFrom"`
	Ports   []podPort  `json:"ports" yaml:"ports"`
}

type podPort struct {
	ContainerPort int `json:"containerPort" yaml:"containerPort"`
}

type named struct {
	Name string `json:"name" yaml:"name"`
}

// hasSidecar reports whether the pod has a container with our name, from us or not.
func (p pod) hasSidecar() bool {
	ours := func(c podContainer) bool { return c.Name == containerName }
	return slices.ContainsFunc(p.Spec.InitContainers, ours) || slices.ContainsFunc(p.Spec.Containers, ours)
}

// sidecarHas reports whether a container with our name sets a variable.
func (p pod) sidecarHas(name string) bool {
	return slices.ContainsFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), func(c podContainer) bool {
		return c.Name == containerName && c.value(name) != ""
	})
}

// plan is what to put into a pod.
type plan struct {
	container *yaml.Node
	volumes   *yaml.Node
	alias     alias
	env       *yaml.Node
	inits     []int    // the init containers, by their index before injection, that get env
	apps      []int    // the containers that get env
	names     []string // of both
	hints     []Note   // what bypasses the sidecar
}

// plan decides about a pod without a sidecar. If anything is in the way, it returns all problems instead.
func (i *Injector) plan(p pod) (plan, []string) {
	settings, problems := i.settings(p.Metadata.Annotations)
	made := readContract()
	volumes := settings.fill(&made.Volumes)
	ports := append(keys(settings["origins"]), settings["listen-port"])
	problems = append(problems, p.obstacles(ports, volumes.Content)...)
	problems = append(problems, p.namedElsewhere(settings)...)
	if len(problems) > 0 {
		return plan{}, problems
	}
	decided := plan{
		container: settings.fill(&made.Container), volumes: volumes, env: settings.fill(&made.ClientVariables),
		alias: p.alias(settings.fill(&made.HostAliases)), hints: p.hints(settings),
	}
	if settings["client-env"] == "false" {
		return decided, nil
	}
	pick := func(list []podContainer) (picked []int) {
		for index, c := range list {
			if !c.hasClientEnv() {
				picked, decided.names = append(picked, index), append(decided.names, c.Name)
			}
		}
		return picked
	}
	decided.inits, decided.apps = pick(p.Spec.InitContainers), pick(p.Spec.Containers)
	return decided, nil
}

// hasClientEnv reports whether the container already knows where its database is. Then inject leaves these
// variables alone.
func (c podContainer) hasClientEnv() bool {
	return slices.ContainsFunc(c.Env, func(v variable) bool {
		return slices.Contains([]string{"PGHOST", "PGHOSTADDR", "PGPORT", "PGSSLMODE"}, v.Name)
	})
}

// obstacles returns what in the pod excludes a sidecar that listens on ports and mounts these volumes.
func (p pod) obstacles(ports []string, volumes []*yaml.Node) []string {
	var found []string
	if p.Spec.HostNetwork {
		found = append(found, "spec.hostNetwork is true: "+
			"pgorigin's plaintext port would be open to everything on the node; "+
			"remove hostNetwork, or set the label pgorigin/inject to \"false\"")
	}
	if p.Spec.OS.Name == "windows" || p.Spec.NodeSelector["kubernetes.io/os"] == "windows" {
		found = append(found, "it is for Windows by os or nodeSelector: "+
			"pgorigin is a Linux container; set the label pgorigin/inject to \"false\"")
	}
	if user := p.Spec.SecurityContext.RunAsUser; user != nil && *user == 0 {
		found = append(found, "spec.securityContext.runAsUser is 0: pgorigin does not run as root; "+
			"set runAsUser on the containers that need root, and not on the pod")
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, port := range c.Ports {
			switch number := strconv.Itoa(port.ContainerPort); {
			case slices.Contains(ports, number):
				found = append(found, fmt.Sprintf("container \"%s\" has port %s, which pgorigin listens on: "+
					"choose a free one in annotation pgorigin/listen-port, pgorigin/intercept or pgorigin/origins",
					shown(c.Name, "..."), number))
			case number == healthPort:
				found = append(found,
					fmt.Sprintf("container \"%s\" has port %s, which pgorigin answers probes on: "+
						"use another port there", shown(c.Name, "..."), healthPort))
			}
		}
	}
	for _, v := range p.Spec.Volumes {
		if slices.ContainsFunc(volumes, func(ours *yaml.Node) bool { return text(ours, "name") == v.Name }) {
			found = append(found,
				fmt.Sprintf("volume %q exists, and that name is for what pgorigin mounts: rename it", v.Name))
		}
	}
	return found
}
