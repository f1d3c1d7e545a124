{{- /*
pgorigin.container is the charts' one definition of the injected container. It takes
  image, pullPolicy, resources
  envFrom  list, or empty
  env      list of {name, value}
  mounts   list of {name, mountPath, readOnly}, or empty
which the sidecar template fills from values, and the injection policy with strings that are CEL expressions.
cmd/pgorigin/internal/inject builds the same container in Go for the webhook and `pgorigin inject`; test/charts compares them.
*/ -}}
{{- define "pgorigin.container" -}}
name: pgorigin
image: {{ toYaml .image }}
imagePullPolicy: {{ toYaml .pullPolicy }}
args: [run]
restartPolicy: Always
{{- with .envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- toYaml .env | nindent 2 }}
ports:
  - {name: pgorigin-http, containerPort: 9632}
startupProbe:
  httpGet: {path: /startupz, port: 9632}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: 9632}
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- include "pgorigin.securityContext" . | nindent 2 }}
{{- with .mounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{- /* pgorigin.securityContext meets Pod Security `restricted`; 65532 is the user of the image. */ -}}
{{- define "pgorigin.securityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
