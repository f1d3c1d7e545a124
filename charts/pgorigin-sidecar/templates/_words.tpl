{{- /*
pgorigin.words maps the words of the injection contract to their values: annotations `pgorigin/WORD`, flags `--WORD` and
keys of the injector's ConfigMap have the same words. It takes a block of values as in values.yaml.
*/ -}}
{{- define "pgorigin.words" -}}
image: {{ include "pgorigin.image" . | quote }}
image-pull-policy: {{ .image.pullPolicy | quote }}
upstream: {{ .upstream | quote }}
server-name: {{ .serverName | quote }}
ca-secret: {{ .caSecret | quote }}
ca-configmap: {{ .caConfigMap | quote }}
ca-key: {{ empty (print .caSecret .caConfigMap) | ternary "" .caKey | quote }}
client-secret: {{ .clientSecret | quote }}
min-version: {{ .minVersion | quote }}
log-level: {{ .logLevel | quote }}
listen-port: {{ .listenPort | quote }}
env-configmap: {{ .envConfigMap | quote }}
client-env: {{ .clientEnv | quote }}
cpu-request: {{ .resources.requests.cpu | default "10m" | quote }}
memory-request: {{ .resources.requests.memory | default "16Mi" | quote }}
cpu-limit: {{ .resources.limits.cpu | quote }}
memory-limit: {{ .resources.limits.memory | default "64Mi" | quote }}
{{- end }}

{{- define "pgorigin.image" -}}
{{- with .image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default "v0.1.0" }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /*
pgorigin.variables is the table of the container's environment, in order. Of an entry
  of      is the word whose value it shows, with `prefix` in front
  value   is a fixed value instead
  when    is the word that must have a value for the entry to be there; without it that is `of`
  unless  is the value of the word that needs no entry
*/ -}}
{{- define "pgorigin.variables" -}}
variables:
  - {name: PGORIGIN_UPSTREAM_ADDR, of: upstream}
  - {name: PGORIGIN_LISTEN_ADDR, prefix: "127.0.0.1:", of: listen-port, unless: "6432"}
  - {name: PGORIGIN_HEALTH_ADDR, value: ":9632"}
  - {name: PGORIGIN_TLS_SERVER_NAME, of: server-name}
  - {name: PGORIGIN_TLS_CA_FILE, prefix: /etc/pgorigin/ca/, of: ca-key}
  - {name: PGORIGIN_TLS_CERT_FILE, value: /etc/pgorigin/client/tls.crt, when: client-secret}
  - {name: PGORIGIN_TLS_KEY_FILE, value: /etc/pgorigin/client/tls.key, when: client-secret}
  - {name: PGORIGIN_TLS_MIN_VERSION, of: min-version}
  - {name: PGORIGIN_LOG_LEVEL, of: log-level}
{{- end }}
