package inject

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// templatePaths returns the path from an object to its pod template, by API group and kind.
func templatePaths() map[string][]string {
	template := []string{"spec", "template"}
	return map[string][]string{
		"v1/Pod":           {},
		"v1/PodTemplate":   {"template"},
		"apps/Deployment":  template,
		"apps/StatefulSet": template,
		"apps/DaemonSet":   template,
		"apps/ReplicaSet":  template,
		"batch/Job":        template,
		"batch/CronJob":    {"spec", "jobTemplate", "spec", "template"},
	}
}

// kind says where an object has its pod template.
type kind struct {
	path    []string // keys; empty for a Pod
	pods    bool     // whether there is one, as far as pgorigin can see
	guessed bool     // by its shape
	skipped string   // why pgorigin leaves it alone; empty if it does not
}

// kindOf finds out about an object of a kind in an API group. Other kinds than those of Kubernetes often have
// a pod template at the same place as a Deployment, and then count as one.
func kindOf(n *yaml.Node, group, name string) kind {
	path, known := templatePaths()[group+"/"+name]
	shape := n
	for _, key := range []string{"spec", "template", "spec", "containers"} {
		if shape != nil {
			shape = child(shape, key)
		}
	}
	switch {
	case known:
		return kind{path: path, pods: true}
	case group == "serving.knative.dev" && hasContainers(n):
		return kind{pods: true, skipped: "left alone: Knative refuses native sidecars in its objects; " +
			`set the label pgorigin/inject: "true" in its template, and the injector adds pgorigin to the pods`}
	case isContainers(shape):
		return kind{path: []string{"spec", "template"}, pods: true, guessed: true}
	case hasContainers(n):
		return kind{pods: true, skipped: "left alone: pgorigin does not know where this kind has its pod " +
			"template; label its pods, and the injector adds pgorigin to them"}
	}
	return kind{}
}

// isContainers reports whether a node is the list of containers of a pod.
func isContainers(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.SequenceNode && len(n.Content) > 0 &&
		n.Content[0].Kind == yaml.MappingNode && child(n.Content[0], "image") != nil
}

// hasContainers reports whether there are containers anywhere in an object.
func hasContainers(n *yaml.Node) bool {
	if n.Kind == yaml.MappingNode && isContainers(child(n, "containers")) {
		return true
	}
	for _, inner := range n.Content {
		if hasContainers(inner) {
			return true
		}
	}
	return false
}

// listedBy returns the items of a List, or of a list of one kind such as a DeploymentList, and that kind. Its
// items need not repeat it.
func listedBy(n *yaml.Node, version, name string) (items []*yaml.Node, itemVersion, itemName string) {
	itemName, isList := strings.CutSuffix(name, "List")
	list := child(n, "items")
	if !isList || list == nil || list.Kind != yaml.SequenceNode {
		return nil, "", ""
	}
	if itemName == "" {
		version = ""
	}
	return list.Content, version, itemName
}

// appendWorkloads looks at one object. version and name are its kind, if it does not say so itself.
func appendWorkloads(found []workload, n *yaml.Node, version, name string) []workload {
	if n.Kind != yaml.MappingNode {
		return found
	}
	version, name = cmp.Or(text(n, "apiVersion"), version), cmp.Or(text(n, "kind"), name)
	if items, itemVersion, itemName := listedBy(n, version, name); items != nil {
		for _, item := range items {
			found = appendWorkloads(found, item, itemVersion, itemName)
		}
		return found
	}
	group, _, _ := strings.Cut(version, "/")
	about := kindOf(n, group, name)
	if !about.pods {
		return found
	}
	return append(found, readWorkload(n, name, about))
}
