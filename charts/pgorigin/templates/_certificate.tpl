{{- define "pgorigin.certificateSecret" -}}
{{- $certificate := .Values.webhook.certificate }}
{{- if eq $certificate.mode "existingSecret" }}
{{- required "webhook.certificate.mode=existingSecret needs webhook.certificate.existingSecret: the name of a Secret of type kubernetes.io/tls" $certificate.existingSecret }}
{{- else -}}
{{ include "pgorigin.name" . }}-webhook-tls
{{- end }}
{{- end }}

{{- /*
pgorigin.selfSignedPair is {ca, cert, key} in base64: the pair in the cluster if there is one, else the one given by
value, else a new one, good for ten years. To call it twice in one rendering may make two.
*/ -}}
{{- define "pgorigin.selfSignedPair" -}}
{{- $host := printf "%s-webhook.%s.svc" (include "pgorigin.name" .) .Release.Namespace }}
{{- $installed := lookup "v1" "Secret" .Release.Namespace (include "pgorigin.certificateSecret" .) }}
{{- $given := .Values.webhook.certificate.pair }}
{{- if $given }}
ca: {{ b64enc $given.ca }}
cert: {{ b64enc $given.cert }}
key: {{ b64enc $given.key }}
{{- else if $installed }}
ca: {{ get $installed.data "ca.crt" }}
cert: {{ get $installed.data "tls.crt" }}
key: {{ get $installed.data "tls.key" }}
{{- else if lookup "v1" "Namespace" "" "kube-system" }}
{{- $ca := genCA (printf "%s CA" $host) 3650 }}
{{- $pair := genSignedCert $host nil (list $host) 3650 $ca }}
ca: {{ b64enc $ca.Cert }}
cert: {{ b64enc $pair.Cert }}
key: {{ b64enc $pair.Key }}
{{- else }}
{{- fail "webhook.certificate.mode=selfSigned: Helm does not see the cluster here, and would make another pair at each rendering: set webhook.certificate.mode to certManager or existingSecret, or webhook.certificate.pair to a pair for all renderings; to look only, use helm template --dry-run=server" }}
{{- end }}
{{- end }}
