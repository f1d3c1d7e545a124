{{- /*
For charts of applications. Each takes the root context and reads .Values.pgorigin: the dependency has `alias: pgorigin`.

pgorigin.sidecar      the item to put first in initContainers
pgorigin.volumes      items for volumes; none without CA and client certificate
pgorigin.hostAliases  items for hostAliases; none without intercept
pgorigin.clientEnv    items for the env of each container that connects, migrations among initContainers too
pgorigin.podLabels    labels for the pod template
*/ -}}
{{- define "pgorigin.sidecar" -}}
- {{ (include "pgorigin.made" . | fromYaml).container | toYaml | indent 2 | trim }}
{{- end }}

{{- define "pgorigin.volumes" -}}
{{- with (include "pgorigin.made" . | fromYaml).volumes }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "pgorigin.hostAliases" -}}
{{- with (include "pgorigin.made" . | fromYaml).hostAliases }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "pgorigin.clientEnv" -}}
{{- if and .Values.pgorigin.clientEnv (not .Values.pgorigin.intercept) }}{{ (include "pgorigin.made" . | fromYaml).clientVariables | toYaml }}{{ end }}
{{- end }}

{{- define "pgorigin.podLabels" -}}
pgorigin/inject: "true"
pgorigin/status: injected
{{- end }}

{{- /* pgorigin.made is the contract filled with .Values.pgorigin, or a failure that says what to set. */ -}}
{{- define "pgorigin.made" -}}
{{- with .Values.pgorigin }}
  {{- include "pgorigin.checkedWords" (dict "values" . "prefix" "pgorigin." "required" true) | fromYaml | include "pgorigin.filled" }}
{{- else }}
  {{- fail "the dependency on pgorigin-sidecar in Chart.yaml needs `alias: pgorigin`" }}
{{- end }}
{{- end }}
