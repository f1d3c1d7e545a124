package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// review is what of an AdmissionReview (admission.k8s.io/v1) the webhook reads and writes.
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID         string          `json:"uid"`
	Kind        groupKind       `json:"kind"`
	SubResource string          `json:"subResource"`
	Operation   string          `json:"operation"`
	Namespace   string          `json:"namespace"`
	Object      json.RawMessage `json:"object"`
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
	Patch     []byte  `json:"patch,omitempty"` // encoding/json makes base64 of it, as it has to be
}

type status struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

// reviewVersion is the only version that there has been since Kubernetes 1.22.
const reviewVersion = "admission.k8s.io/v1"

// Verdict is what a review came to.
type Verdict struct {
	Object   string   // such as "Pod shop/web-1"
	Injected bool     // the pod got a sidecar
	Problems []string // why it is refused; none otherwise
	Skipped  string   // why it is allowed as it is; empty if it got a sidecar or is refused
}

// review answers an AdmissionReview. Whatever is no new pod that asks for injection is allowed as it is, and so is what
// this version cannot read: it is for the API server to judge. An error is for a body that cannot be answered at all.
func (i *Injector) review(body []byte) ([]byte, Verdict, error) {
	var asked review
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, Verdict{}, fmt.Errorf("read AdmissionReview: %w", err)
	}
	if asked.APIVersion != reviewVersion || asked.Kind != "AdmissionReview" || asked.Request == nil || asked.Request.UID == "" {
		return nil, Verdict{}, errors.New("expected an AdmissionReview of " + reviewVersion + " with a request")
	}
	answer := &response{UID: asked.Request.UID, Allowed: true}
	verdict, patch := i.judge(asked.Request)
	switch {
	case len(verdict.Problems) > 0:
		answer.Allowed = false
		answer.Status = &status{
			Status: "Failure", Reason: "Invalid", Code: 422,
			Message: "pgorigin: " + verdict.Object + ": " + strings.Join(verdict.Problems, "; "),
		}
	case verdict.Injected:
		text, err := json.Marshal(patch)
		if err != nil {
			return nil, Verdict{}, fmt.Errorf("encode patch: %w", err)
		}
		answer.PatchType, answer.Patch = "JSONPatch", text
	}
	text, err := json.Marshal(review{APIVersion: reviewVersion, Kind: "AdmissionReview", Response: answer})
	if err != nil {
		return nil, Verdict{}, fmt.Errorf("encode answer: %w", err)
	}
	return text, verdict, nil
}

// judge decides about one request. It keeps nothing and changes nothing elsewhere, so a dry run is like any other.
func (i *Injector) judge(r *request) (Verdict, []operation) {
	verdict := Verdict{Object: describe(r.Kind.Kind, metadata{Namespace: r.Namespace})}
	if (r.Kind != groupKind{Version: "v1", Kind: "Pod"}) || r.Operation != "CREATE" || r.SubResource != "" {
		verdict.Skipped = "not the creation of a pod"
		return verdict, nil
	}
	var p pod
	if err := json.Unmarshal(r.Object, &p); err != nil {
		verdict.Skipped = "cannot be read: " + err.Error()
		return verdict, nil
	}
	p.Metadata.Namespace = r.Namespace
	verdict.Object = describe("Pod", p.Metadata)
	switch {
	case p.Metadata.Labels[askLabel] != "true":
		verdict.Skipped = "does not ask for injection"
		return verdict, nil
	case p.hasSidecar():
		verdict.Skipped = "has the sidecar"
		return verdict, nil
	case i.broken != nil:
		verdict.Problems = []string{"the injector's defaults are wrong: " + oneLine(i.broken)}
		return verdict, nil
	}
	decided, problems := i.plan(p)
	if verdict.Problems = problems; len(problems) > 0 {
		return verdict, nil
	}
	verdict.Injected = true
	return verdict, decided.patch(p)
}
