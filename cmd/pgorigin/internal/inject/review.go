package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// askedReview has the fields of an AdmissionReview (admission.k8s.io/v1) that the webhook reads. A response
// is not one of them, because a client chooses how many warnings it has.
type askedReview struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Request    *request `json:"request"`
}

// answeredReview is an AdmissionReview that the webhook writes.
type answeredReview struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Response   *response `json:"response"`
}

type request struct {
	UID         string    `json:"uid"`
	Kind        groupKind `json:"kind"`
	SubResource string    `json:"subResource"`
	Operation   string    `json:"operation"`
	Namespace   string    `json:"namespace"`
	Name        string    `json:"name"`
	Object      reviewed  `json:"object"`
}

type groupKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type response struct {
	UID       string  `json:"uid"`
	Allowed   bool    `json:"allowed"`
	Status    *status `json:"status,omitempty"`
	PatchType string  `json:"patchType,omitempty"`
	Patch     []byte  `json:"patch,omitempty"` // base64, which encoding/json makes

	Warnings []string `json:"warnings,omitempty"` // for the user of kubectl
}

type status struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// reviewVersion is the only version since Kubernetes 1.22.
const reviewVersion = "admission.k8s.io/v1"

// Decision is the result of a review.
type Decision struct {
	Object   string   // such as "Pod shop/web-1"
	Injected bool     // the pod got a sidecar
	Problems []string // why the pod is refused; nil otherwise
	Warnings []string // what bypasses the sidecar
	Skipped  string   // why the pod stays as it is; empty if it got a sidecar or is refused
}

// review answers an AdmissionReview. It allows everything as it is, except a new pod that asks for injection,
// or any new pod if injection is required. It also allows what this version cannot read: the API server decides
// about that. An error means that there is no answer to the body.
func (i *Injector) review(body []byte, required bool) ([]byte, Decision, error) {
	var asked askedReview
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, Decision{}, errors.New("read AdmissionReview: " + short(err.Error(), maxName))
	}
	isReview := asked.APIVersion == reviewVersion && asked.Kind == "AdmissionReview"
	if !isReview || asked.Request == nil || asked.Request.UID == "" ||
		len(asked.Request.UID) > maxName {
		return nil, Decision{},
			errors.New("expected an AdmissionReview of " + reviewVersion + " with a request")
	}
	answer := &response{UID: asked.Request.UID, Allowed: true}
	decision, patch := i.decide(asked.Request, required)
	if decision.Injected {
		text, err := json.Marshal(patch)
		switch {
		case err != nil:
			return nil, Decision{}, fmt.Errorf("encode patch: %w", err)
		case len(text) > maxPatch:
			decision.Injected = false
			decision.Problems = []string{"it has too many containers for a patch: give some of them PGHOST, " +
				"or set annotation pgorigin/client-env to false"}
		default:
			answer.PatchType, answer.Patch, answer.Warnings = "JSONPatch", text, decision.Warnings
		}
	}
	if len(decision.Problems) > 0 {
		answer.Allowed = false
		message := "pgorigin: " + decision.Object + ": " + strings.Join(decision.Problems, "; ")
		answer.Status = &status{
			Status: "Failure", Reason: "Invalid", Code: 422, Message: short(message, maxMessage),
		}
	}
	text, err := json.Marshal(answeredReview{APIVersion: reviewVersion, Kind: "AdmissionReview", Response: answer})
	if err != nil {
		return nil, Decision{}, fmt.Errorf("encode answer: %w", err)
	}
	return text, decision, nil
}

// reviewed is the pod of a review, or the reason why there is none.
type reviewed struct {
	pod     pod
	unread  error
	tooMany bool // values, so that it was not read
}

// UnmarshalJSON never fails: the answer to a review needs the fields around its object.
func (r *reviewed) UnmarshalJSON(text []byte) error {
	*r = reviewed{}
	if r.tooMany = countValues(text) > maxValues; !r.tooMany {
		r.unread = json.Unmarshal(text, &r.pod)
	}
	return nil
}

// decide decides about one request. It changes nothing outside, so a dry run needs no special case.
func (i *Injector) decide(r *request, required bool) (Decision, []operation) {
	decision := Decision{Object: describe(r.Kind.Kind, metadata{Namespace: r.Namespace, Name: r.Name})}
	if (r.Kind != groupKind{Version: "v1", Kind: "Pod"}) || r.Operation != "CREATE" || r.SubResource != "" {
		decision.Skipped = "not the creation of a pod"
		return decision, nil
	}
	p := r.Object.pod
	switch {
	case r.Object.tooMany:
		decision.Problems = []string{fmt.Sprintf("it has more than %d values: "+
			"pgorigin does not read such a pod; make it smaller", maxValues)}
		return decision, nil
	case r.Object.unread != nil:
		decision.Skipped = "cannot be read: " + short(r.Object.unread.Error(), maxName)
		return decision, nil
	}
	p.Metadata.Namespace = r.Namespace
	decision.Object = describe("Pod", p.Metadata)
	switch {
	case p.Metadata.Labels[askLabel] != "true" && !required:
		decision.Skipped = "does not ask for injection"
		return decision, nil
	case p.hasSidecar():
		decision.Skipped = "has the sidecar"
		return decision, nil
	case i.broken != nil:
		decision.Problems = []string{"the injector's defaults are wrong: " + oneLine(i.broken)}
		return decision, nil
	}
	decided, problems := i.plan(p)
	if decision.Problems = few(problems, "problems"); len(problems) > 0 {
		return decision, nil
	}
	decision.Injected = true
	for _, h := range decided.hints {
		decision.Warnings = append(decision.Warnings, "pgorigin: "+decision.Object+": "+h.Text)
	}
	return decision, decided.patch(p)
}

// operation is one step of a JSON Patch (RFC 6902). All our steps add.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// patch returns the steps that inject a pod. A JSON Patch cannot add to a missing list or map, so the whole
// list or map is one step then. An empty one is replaced the same way.
func (p plan) patch(of pod) []operation {
	var steps []operation
	add := func(path string, value *yaml.Node) {
		steps = append(steps, operation{"add", path, json.RawMessage(toJSON(value))})
	}
	for _, index := range p.apps {
		addEnv(add, fmt.Sprintf("/spec/containers/%d/env", index), of.Spec.Containers[index].Env, p.env)
	}
	for _, index := range p.inits {
		addEnv(add, fmt.Sprintf("/spec/initContainers/%d/env", index),
			of.Spec.InitContainers[index].Env, p.env)
	}
	if len(of.Spec.InitContainers) == 0 {
		add("/spec/initContainers", list(p.container))
	} else {
		add("/spec/initContainers/0", p.container) // last, because it moves the indexes above
	}
	if len(of.Spec.Volumes) == 0 && len(p.volumes.Content) > 0 {
		add("/spec/volumes", p.volumes)
	} else {
		for _, v := range p.volumes.Content {
			add("/spec/volumes/-", v)
		}
	}
	p.alias.patch(add, of.Spec.HostAliases)
	if len(of.Metadata.Labels) == 0 {
		add("/metadata/labels", object(statusLabel, injected))
		return steps
	}
	add("/metadata/labels/pgorigin~1status", stringNode(injected)) // ~1 is a slash
	return steps
}

// addEnv puts variables before the present ones, whose values may refer to them.
func addEnv(add func(string, *yaml.Node), path string, present []variable, env *yaml.Node) {
	if len(present) == 0 {
		add(path, env)
		return
	}
	for _, v := range slices.Backward(env.Content) {
		add(path+"/0", v)
	}
}
