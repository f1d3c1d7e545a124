package main

import (
	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/webhook"
)

const webhookHelp = `webhook answers the API server of a Kubernetes cluster. POST /inject takes an
AdmissionReview. A new pod with the label pgorigin/inject: "true" gets the
sidecar, as "pgorigin inject" would add it. POST /inject/required does the same
for pods without the label. Annotations pgorigin/NAME of the pod override the
defaults. The webhook allows everything else as it is.

On the same TLS port, GET /livez and GET /readyz are for the kubelet, and
GET /metrics is for Prometheus. The chart charts/pgorigin sets all of this up.

Exit codes: 0 clean end, 1 failure, 2 wrong usage, 78 wrong configuration.`

func newWebhookCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Put pgorigin into new pods of a cluster that ask for it",
		Long:  webhookHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.code = webhook.Run(cmd.Context(), p.Process)
			return nil
		},
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		writeHelp(p.Stdout, cmd)
		config.WriteWebhookHelp(p.Stdout)
	})
	return cmd
}
