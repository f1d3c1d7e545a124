package main

import (
	"strings"

	"go.uber.org/zap/zapcore"
)

// loggedSettings logs effective settings, without those that are empty. The keys are like upstream_addr, whatever
// the name of the origin.
type loggedSettings []variable

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (list loggedSettings) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, v := range list {
		if v.value != "" {
			enc.AddString(strings.ToLower(strings.TrimPrefix(v.name, prefix)), v.value)
		}
	}
	return nil
}
