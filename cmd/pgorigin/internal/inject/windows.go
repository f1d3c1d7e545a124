package inject

import "slices"

// affinity is the part of a pod's affinity that decides which nodes may run it.
type affinity struct {
	NodeAffinity struct {
		Required struct {
			NodeSelectorTerms []nodeTerm `json:"nodeSelectorTerms" yaml:"nodeSelectorTerms"`
		} `json:"requiredDuringSchedulingIgnoredDuringExecution" yaml:"requiredDuringSchedulingIgnoredDuringExecution"`
	} `json:"nodeAffinity" yaml:"nodeAffinity"`
}

type nodeTerm struct {
	MatchExpressions []nodeRequirement `json:"matchExpressions" yaml:"matchExpressions"`
}

type nodeRequirement struct {
	Key      string   `json:"key" yaml:"key"`
	Operator string   `json:"operator" yaml:"operator"`
	Values   []string `json:"values" yaml:"values"`
}

// osLabel is the label of nodes that names their operating system.
const osLabel = "kubernetes.io/os"

// isWindows reports whether only Windows nodes may run the pod. The guard of charts/pgorigin has the same
// rules.
func (s podSpec) isWindows() bool {
	terms := s.Affinity.NodeAffinity.Required.NodeSelectorTerms
	other := func(term nodeTerm) bool { return !slices.ContainsFunc(term.MatchExpressions, wantsWindows) }
	return s.OS.Name == "windows" || s.NodeSelector[osLabel] == "windows" ||
		len(terms) > 0 && !slices.ContainsFunc(terms, other)
}

func wantsWindows(r nodeRequirement) bool {
	other := func(value string) bool { return value != "windows" }
	return r.Key == osLabel && r.Operator == "In" && len(r.Values) > 0 && !slices.ContainsFunc(r.Values, other)
}
