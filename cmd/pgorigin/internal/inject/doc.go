// Package inject puts pgorigin into Kubernetes pods as a native sidecar: into manifests, and into new pods as an admission
// webhook. It needs no library of Kubernetes.
//
//	annotations, flags, defaults ─► Options ─► sidecar, volumes, clientEnv        (words.go, options.go, container.go)
//	a pod ────────────────────────► plan: what to add to it, or what is wrong      (pod.go)
//	    AdmissionReview ─► JSON Patch                                              (review.go, patch.go, webhook.go)
//	    YAML or JSON text ─► edits of the text                                     (stream.go, insert.go, remove.go)
//
// sidecar is the one definition of the container. The charts have it in their own languages; testdata/container.yaml holds all
// of them to the same result.
//
// Text is never parsed and written anew. A YAML library finds out at which line and column things are, small edits are made
// there, and the result is parsed again and compared with what it should be, so that an unusual style can lead to an error but
// never to other YAML than was meant. That is also why uninject can give back every byte.
package inject
