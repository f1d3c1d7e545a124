// Package charts gives the program what it shares with the Helm charts.
package charts

import _ "embed" // for Contract

// Contract is the injection contract: what the definition "pgorigin.contract" of the chart pgorigin-sidecar
// renders. The comments there describe it. It is rendered beforehand, because a program that executes
// templates keeps every exported method, which costs 2 MB.
//
//go:embed contract.yaml
var Contract string
