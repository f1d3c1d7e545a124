package config

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Variable is one setting as people see it.
type Variable struct {
	Name    string // PGORIGIN_...
	Unset   string // the default, or what leaving it out means
	Meaning string
	Value   string // effective, fit for a log: see hidden in settings
	Origin  bool   // each origin has its own
}

// Variables lists the settings in the order of the struct, with the values in s.
func Variables(s *Config) []Variable {
	return appendVariables(nil, strings.TrimSuffix(Prefix, "_"), reflect.ValueOf(s).Elem())
}

// Names returns the names of all settings.
func Names() []string {
	var names []string
	for _, v := range Variables(new(Config)) {
		names = append(names, v.Name)
	}
	return names
}

// OriginWords returns the names of the variables that each origin has for itself, without prefix, such as TLS_CA_FILE.
func OriginWords() []string {
	var words []string
	for _, v := range Variables(new(Config)) {
		if v.Origin {
			words = append(words, strings.TrimPrefix(v.Name, Prefix))
		}
	}
	return words
}

// appendVariables walks a struct as envconfig does; a test compares the names.
func appendVariables(list []Variable, path string, group reflect.Value) []Variable {
	for i := range group.NumField() {
		field, info := group.Field(i), group.Type().Field(i)
		if !info.IsExported() {
			continue
		}
		if info.Anonymous {
			first := len(list)
			list = appendVariables(list, path, field)
			for i := range list[first:] {
				list[first+i].Origin = true
			}
			continue
		}
		word := strings.ToUpper(info.Name)
		if info.Tag.Get("split_words") == "true" {
			word = splitWords(info.Name)
		}
		name := path + "_" + word
		if field.Kind() == reflect.Struct {
			list = appendVariables(list, name, field)
			continue
		}
		v := Variable{Name: name, Unset: info.Tag.Get("default"), Meaning: info.Tag.Get("desc"), Value: fmt.Sprint(field)}
		if v.Unset == "" {
			v.Unset = info.Tag.Get("unset")
		}
		if info.Tag.Get("hidden") == "true" && v.Value != "" {
			v.Value = "(set)"
		}
		list = append(list, v)
	}
	return list
}

// splitWords turns AllowNonLoopback into ALLOW_NON_LOOPBACK.
func splitWords(name string) string {
	var out strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToUpper(r))
	}
	return out.String()
}

// Variables lists the settings of one origin, by the names that the unnamed one has for them.
func (o *Origin) Variables() []Variable {
	return appendVariables(nil, strings.TrimSuffix(Prefix, "_"), reflect.ValueOf(o).Elem())
}
