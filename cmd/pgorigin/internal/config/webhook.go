package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
)

// WebhookSettings are the variables of "pgorigin webhook", read and shown like those of run.
type WebhookSettings struct {
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
			Delay Delay `default:"5s" desc:"how long to go on after SIGTERM, while /readyz fails already, until nobody is sent here any more"`
		}
	}
	LogLevel  LogLevel  `split_words:"true" default:"info" desc:"debug, info, warn or error; debug has a line for every pod"`
	LogFormat LogFormat `split_words:"true" default:"auto" desc:"json or console; auto is a coloured console on a terminal, else json"`
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

func (w *WebhookSettings) Variables() []Variable {
	return appendVariables(nil, strings.TrimSuffix(Prefix, "_"), reflect.ValueOf(w).Elem())
}

// LoadWebhook reads the settings of the webhook and reports every problem at once. Other variables of pgorigin are problems,
// too: whoever sets one here expects something that does not happen.
func LoadWebhook(env []string) (WebhookSettings, []Problem) {
	var w WebhookSettings
	values := PgoriginValues(env)
	problems := readValues(values, Prefix, &w)
	var names []string
	for _, v := range w.Variables() {
		names = append(names, v.Name)
		if v.Unset == "required" && v.Value == "" {
			problems = append(problems, Problem{Variable: v.Name, Unset: true, Text: "expected a " + v.Meaning})
		}
	}
	for name, value := range values {
		if slices.Contains(names, name) || isServiceLink(name, strings.TrimSpace(value)) {
			continue
		}
		advice := "\"pgorigin help webhook\" lists those of the webhook"
		if near := Nearest(name, names); near != "" {
			advice = "did you mean " + near + "?"
		}
		problems = append(problems, Problem{Variable: name, Text: "unknown variable; " + advice})
	}
	SortProblems(problems)
	return w, problems
}
