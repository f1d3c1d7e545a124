package config

import "strings"

// Where a value comes from, besides the name of another variable.
const (
	FromDefault     = "default"
	fromEnvironment = "environment"
)

// ShownSetting is one line of "pgorigin config".
type ShownSetting struct {
	Variable string `json:"variable"`
	Origin   string `json:"origin,omitempty"` // empty: the whole process
	Value    string `json:"value"`            // empty: unset, and Unset says what that means
	From     string `json:"from"`
	Unset    string `json:"unset,omitempty"`
}

// Shown lists all settings, those of named origins last; values are what the environment has.
func (s *Config) Shown(values map[string]string) []ShownSetting {
	var list []ShownSetting
	add := func(origin string, v Variable, name, from string) {
		if _, set := values[from]; !set {
			from = FromDefault
		} else if from == name {
			from = fromEnvironment
		}
		shown := ShownSetting{Variable: name, Origin: origin, Value: v.Value, From: from}
		if v.Value == "" {
			shown.Unset = v.Unset
		}
		list = append(list, shown)
	}
	for _, v := range Variables(s) {
		origin := ""
		if v.Origin {
			origin = DefaultOrigin
		}
		add(origin, v, v.Name, v.Name)
	}
	for _, o := range s.named {
		for _, v := range o.Variables() {
			word := strings.TrimPrefix(v.Name, Prefix)
			add(o.Name(), v, o.prefix()+word, o.Variable(word))
		}
	}
	return list
}
