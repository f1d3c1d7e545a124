package inject

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// hostAlias is a line that a kubelet adds to /etc/hosts of all containers.
type hostAlias struct {
	IP        string   `json:"ip" yaml:"ip"`
	Hostnames []string `json:"hostnames" yaml:"hostnames"`
}

// loopback is the address that intercepted names lead to.
const loopback = "127.0.0.1"

// alias says how hostAliases of a pod must change, so that a name leads to pgorigin.
type alias struct {
	name  string     // the name to add; empty: nothing changes
	entry *yaml.Node // the entry to add; nil: the name joins an entry of the pod
	joins int        // the index of that entry
}

// alias returns the change for a pod. aliases has one entry of hostAliases with one name, or is empty.
func (p pod) alias(aliases *yaml.Node) alias {
	if len(aliases.Content) == 0 {
		return alias{}
	}
	entry := aliases.Content[0]
	name := child(entry, "hostnames").Content[0].Value
	found := -1
	for i, a := range p.Spec.HostAliases {
		switch {
		case a.IP != loopback:
		case slices.Contains(a.Hostnames, name):
			return alias{}
		case found < 0:
			found = i
		}
	}
	if found >= 0 {
		return alias{name: name, joins: found}
	}
	return alias{name: name, entry: entry}
}

// localNames are the names that the pod itself leads to pgorigin.
func (p pod) localNames() map[string]bool {
	names := map[string]bool{}
	for _, a := range p.Spec.HostAliases {
		for _, name := range a.Hostnames {
			if a.IP == loopback && name != "" {
				names[name] = true
			}
		}
	}
	return names
}

// namedElsewhere returns what is wrong if the pod itself leads the name of intercept to another address.
func (p pod) namedElsewhere(settings Settings) []string {
	name := settings["intercept-name"]
	for _, a := range p.Spec.HostAliases {
		if name != "" && a.IP != loopback && slices.Contains(a.Hostnames, name) {
			return []string{fmt.Sprintf("spec.hostAliases leads the name of intercept to %s: remove the name there, "+
				"or remove intercept", shown(a.IP, "another address"))}
		}
	}
	return nil
}

// patch adds the steps that make the name lead to pgorigin.
func (a alias) patch(add func(string, *yaml.Node), present []hostAlias) {
	switch {
	case a.name == "":
	case a.entry == nil && len(present[a.joins].Hostnames) == 0:
		add(fmt.Sprintf("/spec/hostAliases/%d/hostnames", a.joins), list(stringNode(a.name)))
	case a.entry == nil:
		add(fmt.Sprintf("/spec/hostAliases/%d/hostnames/0", a.joins), stringNode(a.name))
	case len(present) == 0:
		add("/spec/hostAliases", list(a.entry))
	default:
		add("/spec/hostAliases/0", a.entry)
	}
}

// addAlias makes the name lead to pgorigin.
func (e *edits) addAlias(spec *yaml.Node, a alias) error {
	if a.name == "" || a.entry != nil { // there is nothing to do, or the entry is among the parts of the plan
		return nil
	}
	entries := child(spec, "hostAliases")
	if entries == nil || a.joins >= len(entries.Content) || entries.Content[a.joins].Kind != yaml.MappingNode {
		return errors.New("its hostAliases are not a list that is written out")
	}
	return e.add(entries.Content[a.joins], object("hostnames", list(stringNode(a.name))), place{after: "ip"})
}

// entries returns what to add to hostAliases.
func (a alias) entries() *yaml.Node {
	if a.entry == nil {
		return list()
	}
	return list(a.entry)
}

// addAlias adds the name that leads to pgorigin, or the whole entry if nothing else is in it.
func (f *injection) addAlias(spec *yaml.Node, wrote record) {
	for _, entry := range itemsOf(spec, "hostAliases") {
		names := child(entry, "hostnames")
		if text(entry, "ip") != loopback || names == nil || wrote.Hostname == "" {
			continue
		}
		i := slices.IndexFunc(names.Content, func(n *yaml.Node) bool {
			return n.Kind == yaml.ScalarNode && n.Anchor == "" && n.Value == wrote.Hostname
		})
		switch {
		case wrote.Alias == digest(entry):
			f.ours[entry] = true
			return
		case i >= 0:
			f.ours[names.Content[i]] = true
			return
		}
	}
}
