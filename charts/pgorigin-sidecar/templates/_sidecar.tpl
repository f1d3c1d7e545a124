{{- /*
For charts of applications. Each takes the root context and reads .Values.pgorigin: the dependency has `alias: pgorigin`.

pgorigin.sidecar    the item to put first in initContainers
pgorigin.volumes    items for volumes; none, if there is neither CA nor client certificate to mount
pgorigin.clientEnv  items for the env of each container that connects, migrations among initContainers too
pgorigin.podLabels  labels for the pod template
*/ -}}
{{- define "pgorigin.sidecar" -}}
{{- $words := include "pgorigin.checkedWords" . | fromYaml }}
{{- $inputs := dict
      "image" (get $words "image")
      "pullPolicy" (get $words "image-pull-policy")
      "envFrom" (include "pgorigin.envFrom" $words | fromYamlArray)
      "env" (include "pgorigin.env" $words | fromYamlArray)
      "mounts" (include "pgorigin.mounts" $words | fromYamlArray)
      "resources" (include "pgorigin.resources" $words | fromYaml) -}}
- {{ include "pgorigin.container" $inputs | indent 2 | trim }}
{{- end }}

{{- define "pgorigin.volumes" -}}
{{- include "pgorigin.checkedWords" . | fromYaml | include "pgorigin.volumeList" | trim }}
{{- end }}

{{- define "pgorigin.clientEnv" -}}
{{- if .Values.pgorigin.clientEnv -}}
- {name: PGHOST, value: 127.0.0.1}
- {name: PGPORT, value: {{ .Values.pgorigin.listenPort | quote }}}
- {name: PGSSLMODE, value: disable}
{{- end }}
{{- end }}

{{- define "pgorigin.podLabels" -}}
pgorigin/inject: "true"
pgorigin/status: injected
{{- end }}

{{- /* pgorigin.checkedWords is pgorigin.words of .Values.pgorigin, or a failure that says what to set. */ -}}
{{- define "pgorigin.checkedWords" -}}
{{- with .Values.pgorigin }}
  {{- if not .upstream }}
    {{- fail "set pgorigin.upstream: host[:6432] of the pgbouncer or PostgreSQL that pgorigin is to connect to" }}
  {{- end }}
  {{- if and .caSecret .caConfigMap }}
    {{- fail "set pgorigin.caSecret or pgorigin.caConfigMap, not both: there can be one CA only" }}
  {{- end }}
  {{- include "pgorigin.words" . }}
{{- else }}
  {{- fail "the dependency on pgorigin-sidecar in Chart.yaml needs `alias: pgorigin`" }}
{{- end }}
{{- end }}

{{- define "pgorigin.env" -}}
{{- $words := . }}
{{- range (include "pgorigin.variables" . | fromYaml).variables }}
  {{- $shown := get $words (dig "of" "" .) }}
  {{- $condition := get $words (dig "when" (dig "of" "" .) .) }}
  {{- if or (not (or .of .when)) (and $condition (ne $condition (dig "unless" "" .))) }}
- {name: {{ .name }}, value: {{ dig "value" (print (dig "prefix" "" .) $shown) . | quote }}}
  {{- end }}
{{- end }}
{{- end }}

{{- define "pgorigin.envFrom" -}}
{{- with get . "env-configmap" }}
- configMapRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "pgorigin.mounts" -}}
{{- if get . "ca-key" }}
- {name: pgorigin-ca, mountPath: /etc/pgorigin/ca, readOnly: true}
{{- end }}
{{- if get . "client-secret" }}
- {name: pgorigin-client, mountPath: /etc/pgorigin/client, readOnly: true}
{{- end }}
{{- end }}

{{- define "pgorigin.volumeList" -}}
{{- with get . "ca-secret" }}
- name: pgorigin-ca
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- with get . "ca-configmap" }}
- name: pgorigin-ca
  configMap: {name: {{ . | quote }}}
{{- end }}
{{- with get . "client-secret" }}
- name: pgorigin-client
  secret: {secretName: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "pgorigin.resources" -}}
requests: {cpu: {{ get . "cpu-request" | quote }}, memory: {{ get . "memory-request" | quote }}}
limits:
  {{- with get . "cpu-limit" }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ get . "memory-limit" | quote }}
{{- end }}
