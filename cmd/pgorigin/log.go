package main

import (
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// jsonTime is RFC 3339 in UTC with milliseconds, the same width in every line.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// newLogger logs to w. Messages are constants, everything else is a snake_case field, and both encoders write fields as
// JSON, so that no text from outside can break a line or reach a terminal unescaped.
func newLogger(w io.Writer, format config.LogFormat, level config.LogLevel, env []string) *zap.Logger {
	terminal := isTerminal(w)
	console := format == config.FormatConsole || (format == config.FormatAuto && terminal)
	encoder := zapcore.NewJSONEncoder(encoderConfig())
	if console {
		encoder = zapcore.NewConsoleEncoder(consoleConfig(wantsColour(terminal, env)))
	}
	sink := zapcore.Lock(zapcore.AddSync(w))
	if q, ok := w.(*logQueue); ok {
		q.announce(func(lines uint64) []byte {
			entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: "log lines dropped"}
			line, err := encoder.EncodeEntry(entry, []zap.Field{zap.Uint64("lines", lines)})
			if err != nil {
				return nil
			}
			return line.Bytes()
		})
	}
	return zap.New(zapcore.NewCore(encoder, sink, zapcore.Level(level)))
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

// consoleConfig is for people: local time without the date, and the level in colour if the terminal likes that.
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

// isTerminal takes a character device for a terminal. That /dev/null is one, too, does no harm.
func isTerminal(w io.Writer) bool {
	if q, ok := w.(*logQueue); ok {
		w = q.out
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// wantsColour follows no-color.org and bixense.com/clicolors: NO_COLOR wins, then CLICOLOR_FORCE, then the terminal.
func wantsColour(terminal bool, env []string) bool {
	switch {
	case host.Lookup(env, "NO_COLOR") != "":
		return false
	case host.Lookup(env, "CLICOLOR_FORCE") != "" && host.Lookup(env, "CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && host.Lookup(env, "TERM") != "dumb"
}
