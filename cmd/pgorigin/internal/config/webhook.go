package config

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// WebhookSettings has the values of the variables of "pgorigin webhook".
type WebhookSettings struct {
	Webhook struct {
		ListenAddr    string        `split_words:"true"`
		CertFile      string        `split_words:"true"`
		KeyFile       string        `split_words:"true"`
		ServerName    string        `split_words:"true"`
		DefaultsDir   string        `split_words:"true"`
		ShutdownDelay time.Duration `split_words:"true"`
	}
	LogLevel  zapcore.Level `split_words:"true"`
	LogFormat LogFormat     `split_words:"true"`
}

// LoadWebhook reads the settings of the webhook and reports every problem at once. Other variables of
// pgorigin are problems, too: they would have no effect.
func LoadWebhook(env []string) (w WebhookSettings, problems []Problem) {
	var names []string
	all, given := ours(env), map[string]string{}
	for name, value := range all {
		given[strings.TrimPrefix(name, Prefix)] = value
	}
	_, found := read(webhookVariables(), given, &w)
	for _, v := range webhookVariables() {
		names = append(names, v.Name())
		if _, ok := given[v.Word]; v.Required && !ok {
			found = append(found, finding{word: v.Word, unset: true, text: v.Cure})
		}
	}
	problems = new(Origin).problems(found)
	for name, value := range all {
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
