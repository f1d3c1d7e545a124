package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// webhookSettings are the variables of "pgorigin webhook", read and shown like those of run.
type webhookSettings struct {
	Webhook struct {
		Listen struct {
			Addr webhookAddr `default:":8443" desc:"address for the API server and the kubelet, TLS only"`
		}
		Cert struct {
			File string `unset:"required" desc:"PEM file with the webhook's own certificate and its chain; read again when it changes"`
		}
		Key struct {
			File string `unset:"required" desc:"PEM file with its private key"`
		}
		Defaults struct {
			Dir string `unset:"required" desc:"folder with a file for each flag of \"pgorigin inject\", such as image and upstream: a mounted ConfigMap; read anew for each pod"`
		}
		Shutdown struct {
			Delay delay `default:"5s" desc:"how long to go on after SIGTERM, while /readyz fails already, until nobody is sent here any more"`
		}
	}
	LogLevel  logLevel  `split_words:"true" default:"info" desc:"debug, info, warn or error; debug has a line for every pod"`
	LogFormat logFormat `split_words:"true" default:"auto" desc:"json or console; auto is a coloured console on a terminal, else json"`
}

// webhookAddr is the host:port of the webhook.
type webhookAddr string

// Decode reads one host:port.
func (a *webhookAddr) Decode(value string) error {
	addrs, err := parseAddrs(value, addrRules{example: ":8443", emptyHost: true})
	if err != nil {
		return err
	}
	if len(addrs) != 1 {
		return errors.New("expected one address; keep one of them")
	}
	*a = webhookAddr(addrs[0])
	return nil
}

func (w *webhookSettings) variables() []variable {
	return appendVariables(nil, strings.TrimSuffix(prefix, "_"), reflect.ValueOf(w).Elem())
}

// loadWebhook reads the settings of the webhook and reports every problem at once. Other variables of pgorigin are problems,
// too: whoever sets one here expects something that does not happen.
func loadWebhook(env []string) (webhookSettings, []problem) {
	var w webhookSettings
	values := pgoriginValues(env)
	problems := readValues(values, prefix, &w)
	var names []string
	for _, v := range w.variables() {
		names = append(names, v.name)
		if v.unset == "required" && v.value == "" {
			problems = append(problems, problem{variable: v.name, unset: true, text: "expected a " + v.meaning})
		}
	}
	for name, value := range values {
		if slices.Contains(names, name) || isServiceLink(name, strings.TrimSpace(value)) {
			continue
		}
		advice := "\"pgorigin help webhook\" lists those of the webhook"
		if near := nearest(name, names); near != "" {
			advice = "did you mean " + near + "?"
		}
		problems = append(problems, problem{variable: name, text: "unknown variable; " + advice})
	}
	sortProblems(problems)
	return w, problems
}

// webhookDetails is the help with the table of variables.
func webhookDetails() string {
	var out strings.Builder
	out.WriteString(webhookHelp)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, v := range new(webhookSettings).variables() {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.name, v.unset, v.meaning)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return out.String()
}
