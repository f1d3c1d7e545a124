package inject

// Marks of pods. Opting in is a label because selectors cannot see annotations; having been injected is one, too, so that
// it can be selected for monitoring.
const (
	askLabel    = annotationPrefix + "inject" // "true" asks for injection
	statusLabel = annotationPrefix + "status"
	injected    = "injected"                        // value of statusLabel
	envRecord   = annotationPrefix + "injected-env" // the containers that got the client environment, as a comma list
)
