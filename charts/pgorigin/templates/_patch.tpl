{{- /*
pgorigin.celPatch is the injection as a CEL list of JSONPatch: client environment, sidecar, volumes, marks. The client
environment goes first, while the indexes of init containers are what they were.
*/ -}}
{{- define "pgorigin.celPatch" -}}
{{- range $kind := list "initContainers" "containers" }}
{{- $containers := printf "object.spec.?%s.orValue([])" $kind }}
{{ $containers }}.transformList(i, c, c.name in variables.connecting && !has(c.env),
  JSONPatch{op: 'add', path: '/spec/{{ $kind }}/' + string(i) + '/env', value: []}) +
{{- range list (list "PGSSLMODE" "'disable'") (list "PGPORT" "variables.listenPort") (list "PGHOST" "'127.0.0.1'") }}
{{ $containers }}.transformList(i, c, c.name in variables.connecting,
  JSONPatch{op: 'add', path: '/spec/{{ $kind }}/' + string(i) + '/env/0', value: {'name': dyn('{{ first . }}'), 'value': dyn({{ last . }})}}) +
{{- end }}
{{- end }}
(has(object.spec.initContainers) ? [] : [JSONPatch{op: 'add', path: '/spec/initContainers', value: []}]) +
[JSONPatch{op: 'add', path: '/spec/initContainers/0', value: {{ include "pgorigin.celContainer" . }}}] +
(has(object.spec.volumes) ? [] : [JSONPatch{op: 'add', path: '/spec/volumes', value: []}]) +
(variables.caSecret == '' ? [] : [JSONPatch{op: 'add', path: '/spec/volumes/-',
  value: {'name': dyn('pgorigin-ca'), 'secret': dyn({'secretName': variables.caSecret})}}]) +
(variables.caConfigmap == '' || variables.caSecret != '' ? [] : [JSONPatch{op: 'add', path: '/spec/volumes/-',
  value: {'name': dyn('pgorigin-ca'), 'configMap': dyn({'name': variables.caConfigmap})}}]) +
(variables.clientSecret == '' ? [] : [JSONPatch{op: 'add', path: '/spec/volumes/-',
  value: {'name': dyn('pgorigin-client'), 'secret': dyn({'secretName': variables.clientSecret})}}]) +
[JSONPatch{op: 'add', path: '/metadata/labels/pgorigin~1status', value: 'injected'}] +
(has(object.metadata.annotations) || variables.connecting == [] ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}]) +
(variables.connecting == [] ? [] : [JSONPatch{op: 'add', path: '/metadata/annotations/pgorigin~1injected-env', value: variables.connecting.join(',')}])
{{- end }}

{{- /* pgorigin.celContainer is the library's container with CEL expressions where pods may differ. */ -}}
{{- define "pgorigin.celContainer" -}}
{{- $mounts := "(variables.caSecret + variables.caConfigmap == '' ? [] : [{'name': dyn('pgorigin-ca'), 'mountPath': dyn('/etc/pgorigin/ca'), 'readOnly': dyn(true)}])" }}
{{- $mounts = printf "%s + (variables.clientSecret == '' ? [] : [{'name': dyn('pgorigin-client'), 'mountPath': dyn('/etc/pgorigin/client'), 'readOnly': dyn(true)}])" $mounts }}
{{- include "pgorigin.cel" (include "pgorigin.container" (dict
      "image" "cel:variables.image"
      "pullPolicy" "cel:variables.imagePullPolicy"
      "envFrom" "cel:variables.envConfigmap == '' ? [] : [{'configMapRef': {'name': variables.envConfigmap}}]"
      "env" "cel:variables.env"
      "mounts" (printf "cel:%s" $mounts)
      "resources" (dict
        "requests" (dict "cpu" "cel:variables.cpuRequest" "memory" "cel:variables.memoryRequest")
        "limits" "cel:{'memory': variables.memoryLimit, ?'cpu': variables.cpuLimit == '' ? optional.none() : optional.of(variables.cpuLimit)}"))
    | fromYaml) }}
{{- end }}
