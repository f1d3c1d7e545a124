// Package inject puts pgorigin into Kubernetes pods as a native sidecar: into manifests, and, as an admission
// webhook, into new pods. It needs no Kubernetes library, and knows nothing of the environment or the log.
//
// Start reading with Injector.Inject in stream.go, or with Webhook in webhook.go.
//
//	annotations, flags, defaults ─► Options ─► container   (words.go, options.go, container.go)
//	a pod ─► plan: what to add, or what is wrong           (pod.go)
//	    AdmissionReview ─► JSON Patch                      (webhook.go, review.go)
//	    YAML or JSON text ─► edits of the text             (files.go, stream.go, insert.go, remove.go)
//
// The charts define the container in their own languages. A test compares all definitions with
// testdata/container.yaml.
//
// inject never parses text and writes it again. A YAML library finds lines and columns, and inject edits the
// text there. Then it parses the result and compares its meaning with the plan. So an unusual style can lead
// to an error, but never to YAML that means something else. For the same reason, uninject restores every
// byte.
package inject
