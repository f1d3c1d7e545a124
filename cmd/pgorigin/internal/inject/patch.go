package inject

import (
	"fmt"
	"slices"
)

// operation is one step of a JSON Patch (RFC 6902); all of ours add.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// patch returns the steps that inject a pod. Adding to a list or map that is not there is an error in a JSON Patch, so that
// one is added in whole; whether it is not there or empty comes to the same.
func (p plan) patch(of pod) []operation {
	var steps []operation
	add := func(path string, value any) { steps = append(steps, operation{"add", path, value}) }
	for _, index := range p.apps {
		addEnv(add, fmt.Sprintf("/spec/containers/%d/env", index), of.Spec.Containers[index].Env, p.env)
	}
	for _, index := range p.inits {
		addEnv(add, fmt.Sprintf("/spec/initContainers/%d/env", index), of.Spec.InitContainers[index].Env, p.env)
	}
	if len(of.Spec.InitContainers) == 0 {
		add("/spec/initContainers", []container{p.container})
	} else {
		add("/spec/initContainers/0", p.container) // only now: the indexes above are those before
	}
	switch {
	case len(p.volumes) > 0 && len(of.Spec.Volumes) == 0:
		add("/spec/volumes", p.volumes)
	default:
		for _, v := range p.volumes {
			add("/spec/volumes/-", v)
		}
	}
	addMark(add, "/metadata/labels", of.Metadata.Labels, statusLabel, injected)
	if p.record != "" {
		addMark(add, "/metadata/annotations", of.Metadata.Annotations, envRecord, p.record)
	}
	return steps
}

// addEnv puts variables in front of those that are there, whose values may refer to them.
func addEnv(add func(string, any), path string, present []named, env []envVar) {
	if len(present) == 0 {
		add(path, env)
		return
	}
	for _, v := range slices.Backward(env) {
		add(path+"/0", v)
	}
}

func addMark(add func(string, any), path string, present map[string]string, key, value string) {
	if len(present) == 0 {
		add(path, map[string]string{key: value})
		return
	}
	add(path+"/pgorigin~1"+key[len(annotationPrefix):], value) // ~1 is a slash
}
