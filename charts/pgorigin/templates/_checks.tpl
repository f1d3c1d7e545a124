{{- define "pgorigin.quantityPattern" -}}
^[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$
{{- end }}

{{- /*
pgorigin.annotations is the closed list of annotations for pods: what a value must match, what it should have been, in the
words of cmd/pgorigin/internal/inject, and what to write if it is empty.
*/ -}}
{{- define "pgorigin.annotations" -}}
{{- $objectName := "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" }}
{{- $secret := dict "pattern" $objectName "write" "the name of a Secret" "expected" "the name of a Secret, that is, lower-case letters, digits, \"-\" and \".\"" }}
{{- $configMap := dict "pattern" $objectName "write" "the name of a ConfigMap" "expected" "the name of a ConfigMap, that is, lower-case letters, digits, \"-\" and \".\"" }}
{{- $quantity := dict "pattern" (include "pgorigin.quantityPattern" .) "expected" "a quantity such as 10m, 1, 64Mi or 1Gi" }}
{{- $port := "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" }}
{{- toYaml (dict
      "upstream" (dict "pattern" "^[^[:space:]/]+$" "expected" "host[:6432] of pgbouncer or PostgreSQL, or a comma list")
      "server-name" (dict "pattern" "^[^[:space:]]+$" "expected" "one word, without spaces")
      "ca-secret" $secret
      "ca-configmap" $configMap
      "ca-key" (dict "pattern" "^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$" "expected" "a key of the Secret or ConfigMap, that is, letters, digits, \"-\", \"_\" and \".\"")
      "client-secret" $secret
      "min-version" (dict "pattern" "^1[.][23]$" "expected" "1.2 or 1.3")
      "log-level" (dict "pattern" "^(debug|info|warn|error)$" "expected" "debug, info, warn or error")
      "listen-port" (dict "pattern" (printf "^%s$" $port) "expected" "a port from 1 to 65535 other than 9632")
      "env-configmap" $configMap
      "client-env" (dict "pattern" "^(true|false)$" "expected" "true or false")
      "cpu-request" $quantity
      "memory-request" $quantity
      "cpu-limit" $quantity
      "memory-limit" $quantity) }}
{{- end }}
