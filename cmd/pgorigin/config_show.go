package main

import "strings"

// Where a value comes from, besides the name of another variable.
const (
	fromDefault     = "default"
	fromEnvironment = "environment"
)

// shownSetting is one line of "pgorigin config".
type shownSetting struct {
	Variable string `json:"variable"`
	Origin   string `json:"origin,omitempty"` // empty: the whole process
	Value    string `json:"value"`            // empty: unset, and Unset says what that means
	From     string `json:"from"`
	Unset    string `json:"unset,omitempty"`
}

// shown lists all settings, those of named origins last; values are what the environment has.
func (s *settings) shown(values map[string]string) []shownSetting {
	var list []shownSetting
	add := func(origin string, v variable, name, from string) {
		if _, set := values[from]; !set {
			from = fromDefault
		} else if from == name {
			from = fromEnvironment
		}
		shown := shownSetting{Variable: name, Origin: origin, Value: v.value, From: from}
		if v.value == "" {
			shown.Unset = v.unset
		}
		list = append(list, shown)
	}
	for _, v := range variables(s) {
		origin := ""
		if v.origin {
			origin = defaultOrigin
		}
		add(origin, v, v.name, v.name)
	}
	for _, o := range s.named {
		for _, v := range o.variables() {
			word := strings.TrimPrefix(v.name, prefix)
			add(o.name, v, o.prefix()+word, o.variable(word))
		}
	}
	return list
}
