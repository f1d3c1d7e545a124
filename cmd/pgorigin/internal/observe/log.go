package observe

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// jsonTime is RFC 3339 in UTC with milliseconds, with the same width in every line.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// NewLogger logs to w. Messages are constants, and data are fields in snake_case. Both encoders write
// fields as JSON, so that no text from outside can break a line or reach a terminal unescaped.
func NewLogger(w io.Writer, format config.LogFormat, level zapcore.Level, env []string) *zap.Logger {
	out := w
	q, queued := w.(*logQueue)
	if queued {
		out = q.out
	}
	terminal := host.IsTerminal(out)
	console := format == config.FormatConsole || (format == config.FormatAuto && terminal)
	encoder := zapcore.NewJSONEncoder(encoderConfig())
	if console {
		encoder = zapcore.NewConsoleEncoder(consoleConfig(host.WantsColour(terminal, env)))
	}
	sink := zapcore.Lock(zapcore.AddSync(w))
	if queued {
		q.setNotice(func(lines uint64) []byte {
			entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: "log lines dropped"}
			line, err := encoder.EncodeEntry(entry, []zap.Field{zap.Uint64("lines", lines)})
			if err != nil {
				return nil
			}
			return line.Bytes()
		})
	}
	return zap.New(zapcore.NewCore(encoder, sink, level))
}

func encoderConfig() zapcore.EncoderConfig {
	return zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", MessageKey: "message",
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
		EncodeTime: func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
			enc.AppendString(t.UTC().Format(jsonTime))
		},
	}
}

// consoleConfig is for people: local time without the date, and the level in colour if wanted.
func consoleConfig(colour bool) zapcore.EncoderConfig {
	c := encoderConfig()
	c.ConsoleSeparator = " "
	c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	c.EncodeLevel = zapcore.CapitalLevelEncoder
	if colour {
		c.EncodeLevel = zapcore.CapitalColorLevelEncoder
	}
	return c
}
