package health

import (
	"fmt"
	"time"
)

// Note says that the upstream is away. It is empty otherwise.
func (w Wait) Note(now time.Time) string {
	if !w.Away {
		return ""
	}
	clients := fmt.Sprintf("%d clients wait", w.Waiting)
	switch w.Waiting {
	case 0:
		clients = "no client waits, and the next one tries it"
	case 1:
		clients = "1 client waits"
	}
	text := fmt.Sprintf("away for %s, %s: %s (%s)", age(now, w.Since), clients, w.Problem.Text, w.Problem.Reason)
	if w.Problem.Cure != "" {
		text += ". " + w.Problem.Cure
	}
	return text
}
