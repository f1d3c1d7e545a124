{{- /* pgorigin.name begins with a letter and has no dot: Kubernetes before 1.36 demands a letter of a Service. */ -}}
{{- define "pgorigin.name" -}}
{{- $release := .Release.Name | replace "." "-" }}
{{- $name := contains "pgorigin" $release | ternary $release (printf "%s-pgorigin" $release) }}
{{- regexMatch "^[0-9]" $name | ternary (printf "pgorigin-%s" $release) $name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /*
pgorigin.metadata is name, labels and annotations of an object. It takes a list: the root context, what the name ends with
and, if there are any, labels and annotations of the object's own.
*/ -}}
{{- define "pgorigin.metadata" -}}
name: {{ printf "%s%s" (include "pgorigin.name" (first .)) (index . 1) | quote }}
{{ include "pgorigin.marks" (concat (list (first .)) (slice . 2)) }}
{{- end }}

{{- /* pgorigin.marks is pgorigin.metadata without a name, for pod templates. */ -}}
{{- define "pgorigin.marks" -}}
{{- $root := first . }}
{{- $own := slice (concat . (list dict dict)) 1 }}
{{- with $root -}}
labels:
  {{- merge dict (first $own) (include "pgorigin.labels" . | fromYaml) .Values.commonLabels | toYaml | nindent 2 }}
{{- with merge dict (index $own 1) .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pgorigin.labels" -}}
app.kubernetes.io/name: pgorigin
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* pgorigin.imagePullSecrets is a member of the spec of a pod. */ -}}
{{- define "pgorigin.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}{{ dict "imagePullSecrets" . | toYaml }}{{ end }}
{{- end }}

{{- /* pgorigin.test are the annotations of pods that `helm test` runs. */ -}}
{{- define "pgorigin.test" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "pgorigin.webhookLabels" -}}
app.kubernetes.io/name: pgorigin
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: webhook
{{- end }}

{{- /* pgorigin.policyApiVersion decides which version of MutatingAdmissionPolicy to install, or fails with what to do instead. */ -}}
{{- define "pgorigin.policyApiVersion" -}}
{{- $given := .Values.injector.policyApiVersion }}
{{- $version := .Capabilities.KubeVersion.Version }}
{{- if ne $given "auto" -}}
admissionregistration.k8s.io/{{ $given }}
{{- else if semverCompare ">=1.36.0-0" $version -}}
admissionregistration.k8s.io/v1
{{- else }}
{{- fail (printf "injector.mode=policy needs Kubernetes 1.36 or later, and this is %s: set injector.mode=webhook, or injector.policyApiVersion=v1beta1 if the API server was told to serve MutatingAdmissionPolicy in that version" $version) }}
{{- end }}
{{- end }}

{{- define "pgorigin.guarded" -}}
{{- if and (ne .Values.injector.mode "none") (ne (toString .Values.injector.guard) "false") }}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true
{{- else if eq (toString .Values.injector.guard) "true" }}
{{- fail (printf "injector.guard=true needs Kubernetes 1.30 or later, and this is %s: set injector.guard=auto" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* pgorigin.selectors is what confines policies and webhook to pods that ask, outside the excluded namespaces. */ -}}
{{- define "pgorigin.objectSelector" -}}
objectSelector:
  matchLabels: {pgorigin/inject: "true"}
{{- end }}
{{- define "pgorigin.namespaceSelector" -}}
{{- include "pgorigin.namespacesLike" (list . .Values.injector.namespaceSelector) }}
{{- end }}
{{- /* pgorigin.requiredSelector selects the namespaces without a pod that lacks the sidecar. */ -}}
{{- define "pgorigin.requiredSelector" -}}
{{- include "pgorigin.namespacesLike" (list . (dict "matchLabels" (dict "pgorigin/inject" "required"))) }}
{{- end }}
{{- define "pgorigin.namespacesLike" -}}
{{- $like := last . }}
{{- with first . -}}
namespaceSelector:
  {{- with $like.matchLabels }}
  matchLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  matchExpressions:
    - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ toJson .Values.injector.excludedNamespaces }}}
    {{- with $like.matchExpressions }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}
{{- define "pgorigin.podsCreated" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE]
  resources: [pods]
{{- end }}

{{- /* pgorigin.defaults is pgorigin.words of .Values.sidecar, checked. */ -}}
{{- define "pgorigin.defaults" -}}
{{- include "pgorigin.checkedWords" (dict "values" .Values.sidecar "prefix" "sidecar." "required" false) }}
{{- end }}

{{- /* pgorigin.securityContext is that of the injected container, which is right for all others, too. */ -}}
{{- define "pgorigin.securityContext" -}}
{{- (include "pgorigin.contract" . | fromYaml).container.securityContext | toYaml }}
{{- end }}
