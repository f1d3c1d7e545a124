package observe

import (
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// LoggedSettings logs effective settings that are not empty. A key, such as upstream_addr, does not have
// the name of the origin.
type LoggedSettings []config.Setting

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (list LoggedSettings) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, v := range list {
		if v.Value != "" {
			enc.AddString(strings.ToLower(v.Word), v.Value)
		}
	}
	return nil
}
