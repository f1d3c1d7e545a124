package main

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// variable is one setting as people see it.
type variable struct {
	name    string // PGORIGIN_...
	unset   string // the default, or what leaving it out means
	meaning string
	value   string // effective, fit for a log: see hidden in settings
	origin  bool   // each origin has its own
}

// variables lists the settings in the order of the struct, with the values in s.
func variables(s *settings) []variable {
	return appendVariables(nil, strings.TrimSuffix(prefix, "_"), reflect.ValueOf(s).Elem())
}

// names returns the names of all settings.
func names() []string {
	var names []string
	for _, v := range variables(new(settings)) {
		names = append(names, v.name)
	}
	return names
}

// originWords returns the names of the variables that each origin has for itself, without prefix, such as TLS_CA_FILE.
func originWords() []string {
	var words []string
	for _, v := range variables(new(settings)) {
		if v.origin {
			words = append(words, strings.TrimPrefix(v.name, prefix))
		}
	}
	return words
}

// appendVariables walks a struct as envconfig does; a test compares the names.
func appendVariables(list []variable, path string, group reflect.Value) []variable {
	for i := range group.NumField() {
		field, info := group.Field(i), group.Type().Field(i)
		if !info.IsExported() {
			continue
		}
		if info.Anonymous {
			first := len(list)
			list = appendVariables(list, path, field)
			for i := range list[first:] {
				list[first+i].origin = true
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
		v := variable{name: name, unset: info.Tag.Get("default"), meaning: info.Tag.Get("desc"), value: fmt.Sprint(field)}
		if v.unset == "" {
			v.unset = info.Tag.Get("unset")
		}
		if info.Tag.Get("hidden") == "true" && v.value != "" {
			v.value = "(set)"
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

// variables lists the settings of one origin, by the names that the unnamed one has for them.
func (o *OriginSettings) variables() []variable {
	return appendVariables(nil, strings.TrimSuffix(prefix, "_"), reflect.ValueOf(o).Elem())
}
