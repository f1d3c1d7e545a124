// Package charts gives the program what it shares with the Helm charts.
package charts

import _ "embed" // for Contract

// Contract is the injection contract: a template in the language of text/template, which defines
// "pgorigin.contract". Its result is YAML. The comments in it describe that.
//
//go:embed pgorigin-sidecar/templates/_contract.tpl
var Contract string
