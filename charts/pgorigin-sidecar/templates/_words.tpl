{{- /* pgorigin.words maps each word of the contract to its value in a block of values: YAML, all values are strings. */ -}}
{{- define "pgorigin.words" -}}
{{- $values := . }}
{{- range (include "pgorigin.contract" . | fromYaml).words }}
{{- $at := $values }}
{{- range splitList "." (.value | default "none") }}{{ $at = get ($at | default dict) . }}{{ end }}
{{- if eq .name "image" }}{{ $at = include "pgorigin.image" $values }}{{ end }}
{{- if kindIs "invalid" $at }}{{ $at = "" }}{{ end }}
{{- if kindIs "float64" $at }}{{ if eq (floor $at) $at }}{{ $at = int64 $at }}{{ end }}{{ end }}
{{ .name }}: {{ toString $at | toJson }}
{{- end }}
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
pgorigin.checkedWords is pgorigin.words, or a failure that lists everything that is wrong. It takes
  values    a block of values
  prefix    what stands before their names, such as `sidecar.`
  required  whether there must be an upstream
*/ -}}
{{- define "pgorigin.checkedWords" -}}
{{- $prefix := .prefix }}
{{- $words := include "pgorigin.words" .values | fromYaml }}
{{- $names := dict }}
{{- $problems := list }}
{{- if and .required (not $words.upstream) (not $words.intercept) }}
  {{- $problems = append $problems (printf "set %supstream: host[:6432] of the pgbouncer or PostgreSQL that pgorigin is to connect to" $prefix) }}
{{- end }}
{{- $contract := include "pgorigin.contract" . | fromYaml }}
{{- range $contract.words }}{{ $_ := set $names .name (print $prefix (.value | default .name)) }}{{ end }}
{{- range $contract.words }}
  {{- $value := get $words .name }}
  {{- if $value }}
    {{- $long := gt (len $value) (int (.most | default 253)) }}
    {{- range splitList "," (replace " " "," $value) }}{{ if gt (len .) 253 }}{{ $long = true }}{{ end }}{{ end }}
    {{- $keys := include "pgorigin.keys" $value | splitList "," }}
    {{- $wrong := and .except (regexMatch (.except | default "^$") $value) }}
    {{- if or $long $wrong (not (regexMatch .pattern $value)) (gt (len $keys) 32) (lt (uniq $keys | len) (len $keys)) }}
      {{- $problems = append $problems (printf "%s: expected %s" (get $names .name) .expected) }}
    {{- end }}
    {{- if and .excludes (get $words (.excludes | default "")) (ne $value (.fixed | default "")) }}
      {{- $problems = append $problems (printf "%s and %s: %s; remove one of them" (get $names .excludes) (get $names .name) .because) }}
    {{- end }}
    {{- if include "pgorigin.hasNeeds" (list . $words) }}
    {{- else if eq (len .needs) 1 }}
      {{- $problems = append $problems (printf "%s is set, but not %s: set both, or remove it" (get $names .name) (get $names (first .needs))) }}
    {{- else }}
      {{- $problems = append $problems (printf "%s is set, but neither %s nor %s: name the Secret or ConfigMap, or remove it" (get $names .name) (get $names (first .needs)) (get $names (last .needs))) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $from := empty $words.intercept | ternary "listen-port" "intercept" }}
{{- $port := include "pgorigin.parts" $words | fromYaml | dig "intercept-port" "" | default (get $words "listen-port") | default "6432" }}
{{- if has $port (include "pgorigin.keys" $words.origins | splitList ",") }}
  {{- $problems = append $problems (printf "%s and %s: both have port %s; choose another one for one of them" (get $names $from) $names.origins $port) }}
{{- end }}
{{- if $problems }}{{ fail (join "\n" $problems) }}{{ end }}
{{- toYaml $words }}
{{- end }}

{{- /* pgorigin.keys is what is before the "=" in each part KEY=VALUE between spaces, with commas between. */ -}}
{{- define "pgorigin.keys" -}}
{{- regexReplaceAll "=[^ ]*" . "" | replace " " "," }}
{{- end }}

{{- /* pgorigin.parts are what the contract calls parts of words, as YAML. It takes the words. */ -}}
{{- define "pgorigin.parts" -}}
origin-ports: {{ include "pgorigin.keys" .origins | quote }}
{{- with .intercept }}
{{- $port := contains ":" . | ternary (splitList ":" . | last) "5432" }}
intercept-name: {{ splitList ":" . | first | quote }}
intercept-port: {{ $port | quote }}
intercept-address: {{ printf "%s:%s" (splitList ":" . | first) $port | quote }}
{{- end }}
{{- end }}

{{- /* pgorigin.hasNeeds is empty if a word needs another one, and none of those has a value. */ -}}
{{- define "pgorigin.hasNeeds" -}}
{{- $words := last . }}
{{- $needs := (first .).needs }}
{{- if not $needs }}true{{ end }}
{{- range $needs }}{{ if get $words . }}true{{ end }}{{ end }}
{{- end }}

{{- /* pgorigin.filled is container, volumes, hostAliases and clientVariables of the contract, as YAML, with the values of words. */ -}}
{{- define "pgorigin.filled" -}}
{{- $words := . }}
{{- $contract := include "pgorigin.contract" . | fromYaml }}
{{- $words = merge (include "pgorigin.parts" $words | fromYaml) $words }}
{{- range $contract.words }}
  {{- if and $words.intercept .imposed }}{{ $_ := set $words .name (include "pgorigin.fillText" (list .imposed $words)) }}
  {{- else if get $words .name }}
  {{- else if and $words.intercept .implied }}{{ $_ := set $words .name (include "pgorigin.fillText" (list .implied $words)) }}
  {{- else if and .fixed (include "pgorigin.hasNeeds" (list . $words)) }}{{ $_ := set $words .name .fixed }}{{ end }}
{{- end }}
{{- include "pgorigin.fill" (list (omit $contract "words") $words) }}
{{- end }}

{{- /*
pgorigin.fill writes a part of the contract as JSON, or null for what is left out. It takes the part and the words.
*/ -}}
{{- define "pgorigin.fill" -}}
{{- $words := last . }}
{{- $texts := list }}
{{- with first . }}
{{- if kindIs "map" . }}
  {{- range $key, $inner := omit . "when" "unless" "each" }}
    {{- $text := include "pgorigin.fill" (list $inner $words) }}
    {{- if ne $text "null" }}{{ $texts = append $texts (printf "%q: %s" $key $text) }}{{ end }}
  {{- end -}}
  { {{- join ", " $texts -}} }
{{- else if kindIs "slice" . }}
  {{- range . }}
    {{- $when := "" }}
    {{- $unless := "" }}
    {{- $each := "" }}
    {{- if kindIs "map" . }}{{ $when = .when }}{{ $unless = .unless }}{{ $each = .each }}{{ end }}
    {{- if $each }}
      {{- $item := . }}
      {{- range compact (splitList " " (get $words $each)) }}
        {{- $part := dict "key" (splitList "=" . | first) "value" (splitList "=" . | last) }}
        {{- $texts = append $texts (include "pgorigin.fill" (list $item $part)) }}
      {{- end }}
    {{- else if and (or (not $when) (get $words (toString $when))) (or (not $unless) (not (get $words (toString $unless)))) }}
      {{- $texts = append $texts (include "pgorigin.fill" (list . $words)) }}
    {{- end }}
  {{- end -}}
  {{- if $texts }}[ {{- join ", " $texts -}} ]{{ else }}null{{ end }}
{{- else if kindIs "string" . }}
  {{- $text := include "pgorigin.fillText" (list . $words) }}
  {{- if $text }}{{ toJson $text }}{{ else }}null{{ end }}
{{- else }}{{ toJson . }}
{{- end }}
{{- else }}{{ first . | toJson }}
{{- end }}
{{- end }}

{{- /* pgorigin.fillText is a text with the value of the word in it. It takes the text and the words. */ -}}
{{- define "pgorigin.fillText" -}}
{{- $text := first . }}
{{- $words := last . }}
{{- with regexFind "[$][{][-a-z]+[}]" $text }}{{ $text = replace . (get $words (trimAll "${}" .)) $text }}{{ end }}
{{- $text }}
{{- end }}
