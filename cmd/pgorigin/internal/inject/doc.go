// Package inject puts pgorigin into Kubernetes pods as a native sidecar: into manifests, and, as an admission
// webhook, into new pods. It needs no Kubernetes library, and knows nothing of the environment or the log.
//
// Start reading with Injector.Inject in stream.go, or with Webhook in webhook.go.
//
//	annotations, flags, defaults ─► Settings ─► container  (contract.go, settings.go)
//	a pod ─► plan: what to add, or what is wrong           (pod.go)
//	    AdmissionReview ─► JSON Patch                      (webhook.go, review.go)
//	    YAML or JSON text ─► documents ─► edits of them    (files.go, batches.go, stream.go, insert.go)
//	    what was injected, and is still so ─► removal      (record.go, remove.go)
//
// The container, the words for its settings and the checks of their values are data. Package charts has them,
// because the charts read them, too. A test compares all results with testdata/container.yaml.
//
// inject never parses text and writes it again. A YAML library finds lines and columns, and inject edits the
// text there. Then it parses the result and compares it with the input and the record. So an unusual style
// can lead to an error, but never to YAML that means something else. For the same reason, uninject restores
// every byte.
package inject
