{{- /*
pgorigin.cel writes a value as a CEL literal. A string that begins with `cel:` is an expression and stands as it is.
Kubernetes wants the values of a map to have one type: dyn() is that type. Maps, and not Object{…}, because a list with an
Object in it makes kube-apiserver 1.36 panic (kubernetes/kubernetes#142181).
*/ -}}
{{- define "pgorigin.cel" -}}
{{- if kindIs "map" . -}}
{ {{- range $i, $key := keys . | sortAlpha }}{{ if $i }}, {{ end }}{{ toJson $key }}: dyn({{ include "pgorigin.cel" (get $ $key) }}){{ end -}} }
{{- else if kindIs "slice" . -}}
[{{- range $i, $item := . }}{{ if $i }}, {{ end }}{{ include "pgorigin.cel" $item }}{{ end -}}]
{{- else if kindIs "string" . -}}
{{- if hasPrefix "cel:" . }}{{ trimPrefix "cel:" . }}{{ else }}{{ toJson . }}{{ end }}
{{- else -}}
{{ toJson . }}
{{- end }}
{{- end }}

{{- /* pgorigin.celName is the CEL variable of a word: ca-secret is variables.caSecret. */ -}}
{{- define "pgorigin.celName" -}}
variables.{{ . | camelcase | untitle }}
{{- end }}

{{- /*
pgorigin.celWord is the value of a word for the pod in question: its annotation, else the chart's, if that is not empty.
  word
  only     CEL condition without which it has none
  unless   CEL condition under which the chart's does not apply
  default  CEL expression for what is left empty
  valid    CEL condition over `v`: what does not meet it counts as not set here, and is refused by the guard
*/ -}}
{{- define "pgorigin.celWord" -}}
{{ with .only }}!({{ . }}) ? '' : {{ end -}}
([variables.annotations[?'pgorigin/{{ .word }}'].orValue(''),
  {{ with .unless }}({{ . }}) ? '' : {{ end }}variables.data['{{ .word }}']{{ with .default }},
  {{ . }}{{ end }}].filter(v, v != ''{{ with .valid }} && {{ . }}{{ end }}) + [''])[0]
{{- end }}

{{- /* pgorigin.celEnv writes the table of the container's environment as a CEL list of {name, value}. */ -}}
{{- define "pgorigin.celEnv" -}}
{{- range $i, $entry := (include "pgorigin.variables" . | fromYaml).variables }}
{{- $value := toJson (dig "value" "" $entry) }}
{{- with $entry.of }}{{ $value = include "pgorigin.celName" . }}{{ end }}
{{- with $entry.prefix }}{{ $value = printf "%s + %s" (toJson .) $value }}{{ end }}
{{- $item := printf "[{'name': dyn('%s'), 'value': dyn(%s)}]" $entry.name $value }}
{{- if $i }}
+ {{ end }}
{{- with $entry.when | default $entry.of -}}
({{ include "pgorigin.celName" . }} {{ with $entry.unless }}in ['', '{{ . }}']{{ else }}== ''{{ end }} ? [] : {{ $item }})
{{- else -}}
{{ $item }}
{{- end }}
{{- end }}
{{- end }}

{{- /* pgorigin.celStrings writes a map of strings as CEL. */ -}}
{{- define "pgorigin.celStrings" -}}
{ {{- range $i, $key := keys . | sortAlpha }}{{ if $i }}, {{ end }}{{ toJson $key }}: {{ toJson (get $ $key) }}{{ end -}} }
{{- end }}
