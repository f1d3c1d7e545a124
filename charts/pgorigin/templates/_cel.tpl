{{- /*
pgorigin.cel writes a part of the injection contract as CEL; ${NAME} is the variable of a word. Kubernetes wants the values
of a map to have one type: dyn() is that type. Maps, and not Object{…}, because a list with an Object in it makes
kube-apiserver 1.36 panic (kubernetes/kubernetes#142181).
*/ -}}
{{- define "pgorigin.cel" -}}
{{- if kindIs "map" . }}
  {{- $members := list }}
  {{- range $key, $value := omit . "when" "unless" "each" }}
    {{- $text := include "pgorigin.cel" $value }}
    {{- if and (kindIs "string" $value) (hasPrefix "${" (toString $value)) }}
      {{- $members = append $members (printf "?%q: %s == '' ? optional.none() : optional.of(dyn(%s))" $key $text $text) }}
    {{- else }}
      {{- $members = append $members (printf "%q: dyn(%s)" $key $text) }}
    {{- end }}
  {{- end -}}
  { {{- join ", " $members -}} }
{{- else if kindIs "slice" . }}
  {{- $items := list }}
  {{- range . }}
    {{- $item := include "pgorigin.cel" . }}
    {{- $text := printf "[%s]" $item }}
    {{- if kindIs "map" . }}
      {{- with .when }}{{ $text = printf "(%s == '' ? [] : %s)" (include "pgorigin.celName" .) $text }}{{ end }}
      {{- with .unless }}{{ $text = printf "(%s != '' ? [] : %s)" (include "pgorigin.celName" .) $text }}{{ end }}
      {{- with .each }}{{ $text = printf "%s.split(' ').filter(o, o != '').map(o, %s)" (include "pgorigin.celName" .) $item }}{{ end }}
    {{- end }}
    {{- $items = append $items $text }}
  {{- end -}}
  {{- join "\n+ " $items -}}
{{- else if kindIs "string" . }}
  {{- $place := regexFind "[$][{][-a-z]+[}]" . }}
  {{- if not $place }}{{ toJson . }}
  {{- else }}
    {{- $around := splitn $place 2 . }}
    {{- with $around._0 }}{{ toJson . }} + {{ end }}{{ trimAll "${}" $place | include "pgorigin.celName" }}{{ with $around._1 }} + {{ toJson . }}{{ end }}
  {{- end }}
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}

{{- /* pgorigin.celName is the CEL variable of a word: ca-secret is variables.caSecret. `o` is the part of an item with `each`. */ -}}
{{- define "pgorigin.celName" -}}
{{- if eq . "key" }}o.split('=')[0]{{ else if eq . "value" }}o.split('=')[1]{{ else }}variables.{{ . | camelcase | untitle }}{{ end }}
{{- end }}

{{- /* pgorigin.celValid is a CEL condition over `v` of an item of the contract's words. */ -}}
{{- define "pgorigin.celValid" -}}
v.size() <= {{ int (.most | default 253) }} && v.matches('{{ .pattern }}')
{{- with .except }}{{ printf " && !v.matches('%s')" . }}{{ end }}
{{- " && v.replace(' ', ',').split(',').all(p, p.size() <= 253) && v.split(' ').size() <= 32" }}
{{- " && v.split(' ').all(p, v.split(' ').exists_one(q, q.split('=')[0] == p.split('=')[0]))" }}
{{- end }}

{{- /* pgorigin.celHas is a CEL condition: whether the pod has an annotation for one of some words. */ -}}
{{- define "pgorigin.celHas" -}}
{{- range $i, $word := . }}{{ if $i }} || {{ end }}'pgorigin/{{ $word }}' in variables.annotations{{ end }}
{{- end }}

{{- /*
pgorigin.locked is the words that pods may not set, with commas between. They are those of the values, and those that would
replace or refine these. env-configmap is locked with any other word, because it could set most of them.
*/ -}}
{{- define "pgorigin.locked" -}}
{{- $given := .Values.injector.locked | default list }}
{{- $locked := empty $given | ternary list (append $given "env-configmap") }}
{{- $known := list }}
{{- range (include "pgorigin.contract" . | fromYaml).words }}
  {{- if not .defaultOnly }}{{ $known = append $known .name }}{{ end }}
  {{- if has .name $given }}{{ $locked = concat $locked (.replacedBy | default list) }}{{ end }}
  {{- $name := .name }}
  {{- range .needs }}{{ if has . $given }}{{ $locked = append $locked $name }}{{ end }}{{ end }}
{{- end }}
{{- if has "upstream" $locked }}{{ $locked = append $locked "origins" }}{{ end }}
{{- range $given }}
  {{- if not (has . $known) }}{{ fail (printf "injector.locked: %q is no annotation; known are %s" . (join ", " $known)) }}{{ end }}
{{- end }}
{{- if and (has "upstream" $locked) (not .Values.sidecar.upstream) (not .Values.sidecar.intercept) }}
  {{- fail "injector.locked has upstream, and sidecar.upstream is empty: no pod could have an upstream; set sidecar.upstream" }}
{{- end }}
{{- $locked | uniq | sortAlpha | join "," }}
{{- end }}

{{- /*
pgorigin.celVariables are the variables of the injection policy: a variable for each word, and what the contract makes of
them. The value of a word is the pod's annotation, else the chart's default, else what the contract has for it. An
annotation with a wrong value counts as missing here, and the guard refuses it.
*/ -}}
{{- define "pgorigin.celVariables" -}}
{{- $contract := include "pgorigin.contract" . | fromYaml }}
{{- $locked := include "pgorigin.locked" . | splitList "," }}
- {name: annotations, expression: "object.metadata.?annotations.orValue({})"}
# The defaults are here, and not in a ConfigMap as paramKind. API servers no longer see ConfigMaps once the last binding
# that names one is gone, as after helm uninstall (kubernetes/kubernetes#130887).
- {name: defaults, expression: {{ include "pgorigin.celStrings" (include "pgorigin.defaults" . | fromYaml) | quote }}}
{{- range $contract.words }}
- name: {{ include "pgorigin.celName" .name | trimPrefix "variables." }}
  expression: >-
    {{- with .imposed }}
    variables.intercept != '' ? {{ include "pgorigin.cel" . }} :
    {{- end }}
    {{- with .excludes }}
    {{ include "pgorigin.celName" . }} != '' ? '' :
    {{- end }}
    {{- if .needs }}
    {{ range $i, $need := .needs }}{{ if $i }} + {{ end }}{{ include "pgorigin.celName" $need }}{{ end }} == '' ? '' :
    {{- end }}
    ([
    {{- if not (or .defaultOnly (has .name $locked)) }}variables.annotations[?'pgorigin/{{ .name }}'].orValue(''),{{ end }}
    {{ $replacedBy := list }}
    {{- range .replacedBy }}{{ if not (has . $locked) }}{{ $replacedBy = append $replacedBy . }}{{ end }}{{ end }}
    {{- with $replacedBy }}({{ include "pgorigin.celHas" . }}) ? '' : {{ end }}variables.defaults['{{ .name }}']
    {{- with .implied }}, variables.intercept == '' ? '' : {{ include "pgorigin.cel" . }}{{ end }}
    {{- with .fixed }}, '{{ . }}'{{ end -}}
    ].filter(v, {{ include "pgorigin.celValid" . }}) + [''])[0]
{{- if eq .name "intercept" }}
- {name: interceptName, expression: "variables.intercept.split(':')[0]"}
- {name: interceptPort, expression: "variables.intercept.contains(':') ? variables.intercept.split(':')[1] : '5432'"}
- {name: interceptAddress, expression: "variables.interceptName + ':' + variables.interceptPort"}
{{- end }}
{{- end }}
- {name: originPorts, expression: "variables.origins.split(' ').map(o, o.split('=')[0]).join(',')"}
{{- range list "container" "volumes" "hostAliases" "clientVariables" }}
- name: {{ . }}
  expression: >-
    {{- get $contract . | include "pgorigin.cel" | nindent 4 }}
{{- end }}
{{- end }}

{{- /*
pgorigin.celConnects is a CEL condition over a container `c`: it gets the client environment, because it has none of it. The
condition stands where it counts: a list of names that is searched would cost the square of the number of containers.
*/ -}}
{{- define "pgorigin.celConnects" -}}
variables.clientEnv != 'false' && !c.?env.orValue([]).exists(e, e.name in ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGSSLMODE'])
{{- end }}

{{- /*
pgorigin.celPatch is the injection as a CEL list of JSONPatch: client environment, sidecar, volumes, alias, label. The client
environment goes first, while the indexes of init containers are what they were. A name joins the first entry that the pod has
for its address. It stays away if it is in any of these.
*/ -}}
{{- define "pgorigin.celPatch" -}}
{{- $connects := include "pgorigin.celConnects" . }}
{{- $variables := (include "pgorigin.contract" . | fromYaml).clientVariables }}
{{- range $kind := list "initContainers" "containers" }}
{{- $containers := printf "object.spec.?%s.orValue([])" $kind }}
{{ $containers }}.transformList(i, c, {{ $connects }} && !has(c.env),
  JSONPatch{op: 'add', path: '/spec/{{ $kind }}/' + string(i) + '/env', value: []}) +
{{- range $index, $_ := $variables }}
{{ $containers }}.transformList(i, c, {{ $connects }},
  JSONPatch{op: 'add', path: '/spec/{{ $kind }}/' + string(i) + '/env/0', value: variables.clientVariables[{{ sub (len $variables) (add $index 1) }}]}) +
{{- end }}
{{- end }}
(has(object.spec.initContainers) ? [] : [JSONPatch{op: 'add', path: '/spec/initContainers', value: []}]) +
[JSONPatch{op: 'add', path: '/spec/initContainers/0', value: variables.container}] +
(has(object.spec.volumes) ? [] : [JSONPatch{op: 'add', path: '/spec/volumes', value: []}]) +
variables.volumes.map(v, JSONPatch{op: 'add', path: '/spec/volumes/-', value: v}) +
(variables.hostAliases.size() == 0 || object.spec.?hostAliases.orValue([]).exists(a, a.ip == '127.0.0.1' && a.?hostnames.orValue([]).exists(n, n == variables.interceptName)) ? []
: object.spec.?hostAliases.orValue([]).exists(a, a.ip == '127.0.0.1')
? [object.spec.hostAliases.transformList(i, a, a.ip == '127.0.0.1', has(a.hostnames)
  ? JSONPatch{op: 'add', path: '/spec/hostAliases/' + string(i) + '/hostnames/0', value: variables.interceptName}
  : JSONPatch{op: 'add', path: '/spec/hostAliases/' + string(i) + '/hostnames', value: [variables.interceptName]})[0]]
: has(object.spec.hostAliases) ? [JSONPatch{op: 'add', path: '/spec/hostAliases/0', value: variables.hostAliases[0]}]
: [JSONPatch{op: 'add', path: '/spec/hostAliases', value: variables.hostAliases}]) +
(has(object.metadata.labels) ? [] : [JSONPatch{op: 'add', path: '/metadata/labels', value: {}}]) +
[JSONPatch{op: 'add', path: '/metadata/labels/pgorigin~1status', value: 'injected'}]
{{- end }}

{{- /* pgorigin.celStrings writes a map of strings as CEL. */ -}}
{{- define "pgorigin.celStrings" -}}
{ {{- range $i, $key := keys . | sortAlpha }}{{ if $i }}, {{ end }}{{ toJson $key }}: {{ toJson (get $ $key) }}{{ end -}} }
{{- end }}
