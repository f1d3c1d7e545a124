{{- /*
pgorigin.contract is the only definition of the injected container, and of the words that change it. The library chart
(_sidecar.tpl), the admission policies (charts/pgorigin, as CEL) and the program itself read it. The program embeds the
result, charts/contract.yaml. A test renders that with Go's text/template. So the definition calls no function but printf.

A word is one setting. It is the annotation pgorigin/NAME, the flag --NAME and a default of the injector. A word has
  name, meaning   the meaning is the help for the flag
  pattern         RE2 without quotes and backslashes, for the whole value
  except          such a pattern for values that are wrong nevertheless
  most            longest value in bytes; unset means 253; a part between commas or spaces has 253 at most. There are
                  at most 32 parts between spaces, and what is before a "=" in one differs from that of the others
  expected        what a value must be, in messages
  value           path in the charts' values; none for the image
  fixed           what counts if nobody sets it
  values          all values, for completion
  defaultOnly     true if a pod has no annotation for it
  replacedBy      words; a pod that has one of them does not inherit this one
  needs           words; without all of them, this one has no value
  excludes        a word that must not be set at the same time, unless this one has its fixed value
  because         why, in the message
  imposed         what counts if `intercept` is set
  implied         what counts if `intercept` is set, and nobody sets this one

connections describes hosts in the environment and in commands. A host that is not local bypasses pgorigin. It has
  hostVariable    names of variables that hold hosts of PostgreSQL only
  localHosts      values of these that are local
  places          parts of a text that end with the host, in texts that match `with` and not `without`
  localPlace      such parts that are local
  reference       what follows such a part that is a user's name, if the host behind it is a variable
  whereVariable   names of variables that probably say where the database is

In container, volumes, hostAliases and clientVariables, ${NAME} is the value of a word. An item with `when` is there if that
word has a value, and one with `unless` if that has none. An item with `each` is there for each part KEY=VALUE between the spaces of that word. ${key} and ${value} are
of the part. ${origin-ports} are the keys of the word `origins`, between commas. ${intercept-name} and ${intercept-port} are the
parts of the word `intercept`, and ${intercept-address} is both. A member is left out if it is nothing but a word without value.
*/ -}}
{{- define "pgorigin.contract" -}}
{{- $label := "[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?" }}
{{- $lastLabel := "[A-Za-z_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?" }}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" }}
{{- $name := printf "(%s([.]%s){3}|(%s[.])*%s)" $byte $byte $label $lastLabel }}
{{- $hex := "[0-9a-fA-F]{1,4}" }}
{{- $ipv6 := printf "((%[1]s:){7}%[1]s|(%[1]s:){1,7}:|(%[1]s:){1,6}:%[1]s|(%[1]s:){1,5}(:%[1]s){2}|(%[1]s:){1,4}(:%[1]s){3}" $hex }}
{{- $ipv6 := printf "%[2]s|(%[1]s:){1,3}(:%[1]s){4}|(%[1]s:){1,2}(:%[1]s){5}|%[1]s:(:%[1]s){6}|:(:%[1]s){1,7}|::)" $hex $ipv6 }}
{{- $port := "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" }}
{{- $address := printf "(%s|[[]%s[]])(:%s)?" $name $ipv6 $port }}
{{- $freePort := "([1-8][0-9]{0,3}|9|9[0-57-9][0-9]{0,2}|96|96[0-24-9][0-9]?|963|963[013-9]|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" }}
{{- $alias := "([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?" }}
{{- $object := "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*" }}
{{- $secret := "the name of a Secret, that is, lower-case letters, digits, \"-\" and \".\"" }}
{{- $configMap := "the name of a ConfigMap, that is, lower-case letters, digits, \"-\" and \".\"" }}
{{- $quantity := "[0-9]+([.][0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?" }}
{{- $local := "(localhost|127([.][0-9]{1,3}){3})" }}
{{- $host := "([-._A-Za-z0-9%]+|[[][0-9A-Fa-f:.]+[]])" }}
{{- $word := "(^|[^-_A-Za-z0-9])" }}
{{- $aQuantity := "a quantity such as 10m, 1, 64Mi or 1Gi" }}
# A pod has more annotations only to cost time: each expression of a policy that goes through them costs the square.
mostAnnotations: 1000
# Messages may repeat such texts of a pod: they are short, and cannot hold a password. Values of words are never repeated.
showable: '^[] !#-<>?A-[^-~]{1,100}$'
words:
- name: intercept
  meaning: "name[:5432] of the database in the application's own settings, which then leads to pgorigin"
  pattern: {{ printf "^%s(:%s)?$" $alias $freePort | printf "%q" }}
  except: "^(.*[.])?localhost(:.*)?$"
  most: 247
  expected: "name[:port] of the database as the application has it: a DNS name in lower case, no IP address and not localhost, and no port 9632"
  value: intercept
- name: upstream
  meaning: host[:6432] of pgbouncer or PostgreSQL, or a comma list; required without intercept
  pattern: {{ printf "^%s(,%s)*$" $address $address | printf "%q" }}
  most: 1000
  expected: host[:port] of pgbouncer or PostgreSQL, or a comma list without spaces; of a URL keep only host and port
  value: upstream
  replacedBy: [intercept]
  implied: "${intercept-address}"
- name: server-name
  meaning: "name that the upstream's certificate must carry; default: host of the upstream"
  pattern: {{ printf "^(%s|%s)$" $name $ipv6 | printf "%q" }}
  expected: a DNS name or an IP address
  value: serverName
  replacedBy: [intercept, upstream]
- name: ca-secret
  meaning: "Secret with the CA certificates; default: the system's roots"
  pattern: {{ printf "^%s$" $object | printf "%q" }}
  expected: {{ printf "%q" $secret }}
  value: caSecret
  replacedBy: [ca-secret, ca-configmap]
- name: ca-configmap
  meaning: ConfigMap with the CA certificates, instead of a Secret
  pattern: {{ printf "^%s$" $object | printf "%q" }}
  expected: {{ printf "%q" $configMap }}
  value: caConfigMap
  replacedBy: [ca-secret, ca-configmap]
  excludes: ca-secret
  because: there can be one CA only
- name: ca-key
  meaning: "key in that Secret or ConfigMap; default: ca.crt"
  pattern: "^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
  expected: a key of the Secret or ConfigMap, that is, letters, digits, "-", "_" and "."
  value: caKey
  replacedBy: [ca-secret, ca-configmap]
  needs: [ca-secret, ca-configmap]
  fixed: ca.crt
- name: client-secret
  meaning: Secret with tls.crt and tls.key, the client certificate
  pattern: {{ printf "^%s$" $object | printf "%q" }}
  expected: {{ printf "%q" $secret }}
  value: clientSecret
- name: min-version
  meaning: "lowest TLS version: 1.2 or 1.3"
  pattern: "^1[.][23]$"
  values: ["1.2", "1.3"]
  expected: 1.2 or 1.3
  value: minVersion
- name: log-level
  meaning: debug, info, warn or error
  pattern: "^(debug|info|warn|error)$"
  values: [debug, info, warn, error]
  expected: debug, info, warn or error
  value: logLevel
- name: listen-port
  meaning: "port on the loopback of the pod; default: 6432"
  pattern: {{ printf "^%s$" $freePort | printf "%q" }}
  expected: a port from 1 to 65535 other than 9632
  value: listenPort
  fixed: "6432"
  replacedBy: [intercept]
  excludes: intercept
  because: pgorigin listens on the port of intercept
  imposed: "${intercept-port}"
- name: origins
  meaning: "further upstreams, each with its port on the loopback: PORT=host[:6432], separated by spaces"
  pattern: {{ printf "^%[1]s=%[2]s(,%[2]s)*( %[1]s=%[2]s(,%[2]s)*)*$" $freePort $address | printf "%q" }}
  most: 1000
  expected: PORT=host[:port], or up to 32 of them with one space between; each port once, and none is 9632
  value: origins
- name: listen-ca-volume
  meaning: volume of the pod where pgorigin writes ca.crt, for applications that verify its certificate; needs intercept
  pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
  except: "^pgorigin-.*$"
  expected: the name of a volume of the pod, such as an emptyDir, that does not begin with pgorigin-
  value: listenCAVolume
  replacedBy: [listen-ca-volume, listen-secret]
  needs: [intercept]
- name: listen-secret
  meaning: Secret with tls.crt and tls.key for pgorigin's own port, instead of a certificate made at its start; needs intercept
  pattern: {{ printf "^%s$" $object | printf "%q" }}
  expected: {{ printf "%q" $secret }}
  value: listenSecret
  replacedBy: [listen-ca-volume, listen-secret]
  needs: [intercept]
  excludes: listen-ca-volume
  because: a certificate of a Secret has a CA of its own
- name: channel-binding
  meaning: "channel binding: strip, pass or bridge; default: strip"
  pattern: "^(strip|pass|bridge)$"
  values: [strip, pass, bridge]
  expected: strip, pass or bridge
  value: channelBinding
- name: env-configmap
  meaning: ConfigMap with more PGORIGIN_ variables
  pattern: {{ printf "^%s$" $object | printf "%q" }}
  expected: {{ printf "%q" $configMap }}
  value: envConfigMap
- name: client-env
  meaning: "false: give no container PGHOST, PGPORT and PGSSLMODE"
  pattern: "^(true|false)$"
  values: ["true", "false"]
  expected: true or false
  value: clientEnv
  fixed: "true"
  imposed: "false"
- name: cpu-request
  meaning: "CPU request of the sidecar; default: 10m"
  pattern: {{ printf "^%s$" $quantity | printf "%q" }}
  most: 20
  expected: {{ $aQuantity }}
  value: resources.requests.cpu
  fixed: 10m
- name: memory-request
  meaning: "memory request; default: 16Mi"
  pattern: {{ printf "^%s$" $quantity | printf "%q" }}
  most: 20
  expected: {{ $aQuantity }}
  value: resources.requests.memory
  fixed: 16Mi
- name: cpu-limit
  meaning: "CPU limit; default: none"
  pattern: {{ printf "^%s$" $quantity | printf "%q" }}
  most: 20
  expected: {{ $aQuantity }}
  value: resources.limits.cpu
- name: memory-limit
  meaning: "memory limit; default: 64Mi"
  pattern: {{ printf "^%s$" $quantity | printf "%q" }}
  most: 20
  expected: {{ $aQuantity }}
  value: resources.limits.memory
  fixed: 64Mi
- name: image
  meaning: "image of the sidecar; default: that of this release"
  pattern: "^[A-Za-z0-9][-A-Za-z0-9._:/@]*$"
  most: 500
  expected: the name of an image, such as registry.example.com/pgorigin:v1.0.0
  defaultOnly: true
- name: image-pull-policy
  meaning: "Always, IfNotPresent or Never; default: IfNotPresent"
  pattern: "^(Always|IfNotPresent|Never)$"
  values: [Always, IfNotPresent, Never]
  expected: Always, IfNotPresent or Never
  value: image.pullPolicy
  fixed: IfNotPresent
  defaultOnly: true

# For hints only: what a container says about its database.
connections:
  hostVariable: "^(PGHOSTADDR|(.*_)?(PG|POSTGRES|POSTGRESQL)_?HOST(NAME)?)$"
  localHosts: {{ printf "^(%[1]s|::1|[/@].*)(,(%[1]s|::1|[/@].*))*$" $local | printf "%q" }}
  places:
  - pattern: {{ printf "(?i)(postgres|postgresql|pgsql|postgis)([+][a-z0-9_]+)?://([^[:space:]/?#]*@)?%s" $host | printf "%q" }}
  - pattern: {{ printf "(?i)%shost(addr)?[ ]*=[ ]*%s" $word $host | printf "%q" }}
    with: {{ printf "(?i)%s(dbname|database|user|username|sslmode)[ ]*=|postgres" $word | printf "%q" }}
    without: "(?i)mysql|mariadb"
  - pattern: {{ printf "(^|[ /])(psql|pgbench|pg_[a-z]+)( [^|&;]*)? (-h|--host)[ =]+%s" $host | printf "%q" }}
  localPlace: {{ printf "[/@= ](%s|[[]::1[]]|%%2[Ff].*)$" $local | printf "%q" }}
  reference: "^[^[:space:]/?#]*@[$]"
  whereVariable: "(^|_)(PG|POSTGRES|POSTGRESQL|DB|DATABASE|DATASOURCE)(_?[A-Z0-9]+)*_?(URL|URI|DSN|HOST|HOSTNAME|HOSTADDR)$"

# A native sidecar: the kubelet starts the next init container when the startup probe succeeds. There is no readiness
# probe, because it would count for the whole pod. The kubelet probes the address of the pod, so the health port is open
# there. Kubernetes lets env win over envFrom. So the ConfigMap cannot change upstream, listen address, origins and
# verify-full: these variables are always here.
container:
  name: pgorigin
  image: ${image}
  imagePullPolicy: ${image-pull-policy}
  args: [run]
  restartPolicy: Always
  envFrom:
  - {when: env-configmap, configMapRef: {name: "${env-configmap}"}}
  env:
  - {name: PGORIGIN_UPSTREAM_ADDR, value: "${upstream}"}
  - {name: PGORIGIN_LISTEN_ADDR, value: "127.0.0.1:${listen-port}"}
  - {name: PGORIGIN_HEALTH_ADDR, value: ":9632"}
  - {when: server-name, name: PGORIGIN_TLS_SERVER_NAME, value: "${server-name}"}
  - {when: ca-key, name: PGORIGIN_TLS_CA_FILE, value: "/etc/pgorigin/ca/${ca-key}"}
  - {when: client-secret, name: PGORIGIN_TLS_CERT_FILE, value: /etc/pgorigin/client/tls.crt}
  - {when: client-secret, name: PGORIGIN_TLS_KEY_FILE, value: /etc/pgorigin/client/tls.key}
  - {when: min-version, name: PGORIGIN_TLS_MIN_VERSION, value: "${min-version}"}
  - {when: log-level, name: PGORIGIN_LOG_LEVEL, value: "${log-level}"}
  - {name: PGORIGIN_TLS_VERIFY, value: verify-full}
  - {when: intercept, name: PGORIGIN_UPSTREAM_RESOLVER, value: dns}
  - {when: intercept, unless: listen-secret, name: PGORIGIN_LISTEN_TLS, value: self-signed}
  - {when: listen-secret, name: PGORIGIN_LISTEN_TLS, value: files}
  - {when: listen-secret, name: PGORIGIN_LISTEN_TLS_CERT_FILE, value: /etc/pgorigin/listen/tls.crt}
  - {when: listen-secret, name: PGORIGIN_LISTEN_TLS_KEY_FILE, value: /etc/pgorigin/listen/tls.key}
  - {when: listen-ca-volume, name: PGORIGIN_LISTEN_TLS_CA_FILE, value: /etc/pgorigin/listen/ca.crt}
  - {when: channel-binding, name: PGORIGIN_AUTH_CHANNEL_BINDING, value: "${channel-binding}"}
  - {name: PGORIGIN_ORIGINS, value: "${origin-ports}"}
  - {each: origins, name: "PGORIGIN_${key}_UPSTREAM_ADDR", value: "${value}"}
  - {each: origins, name: "PGORIGIN_${key}_LISTEN_ADDR", value: "127.0.0.1:${key}"}
  - {each: origins, name: "PGORIGIN_${key}_TLS_VERIFY", value: verify-full}
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
    requests: {cpu: "${cpu-request}", memory: "${memory-request}"}
    limits: {cpu: "${cpu-limit}", memory: "${memory-limit}"}
  # This meets Pod Security `restricted`. The image has a numeric user, which satisfies runAsNonRoot. A user here would be
  # refused by OpenShift, which gives each namespace users of its own.
  securityContext:
    runAsNonRoot: true
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
  - {when: ca-key, name: pgorigin-ca, mountPath: /etc/pgorigin/ca, readOnly: true}
  - {when: client-secret, name: pgorigin-client, mountPath: /etc/pgorigin/client, readOnly: true}
  - {when: listen-ca-volume, name: "${listen-ca-volume}", mountPath: /etc/pgorigin/listen}
  - {when: listen-secret, name: pgorigin-listen, mountPath: /etc/pgorigin/listen, readOnly: true}
  terminationMessagePolicy: FallbackToLogsOnError

# Only the keys that pgorigin reads: a Secret may have others.
volumes:
- when: ca-secret
  name: pgorigin-ca
  secret: {secretName: "${ca-secret}", items: [{key: "${ca-key}", path: "${ca-key}"}]}
- when: ca-configmap
  name: pgorigin-ca
  configMap: {name: "${ca-configmap}", items: [{key: "${ca-key}", path: "${ca-key}"}]}
- when: client-secret
  name: pgorigin-client
  secret: {secretName: "${client-secret}", items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
- when: listen-secret
  name: pgorigin-listen
  secret: {secretName: "${listen-secret}", items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}

# The name leads to pgorigin in all containers. pgorigin itself asks DNS. A pod has one entry for each address: API servers
# refuse two in a server-side apply. So the name joins an entry that the pod has for this one.
hostAliases:
- {when: intercept, ip: 127.0.0.1, hostnames: ["${intercept-name}"]}

# For containers that set none of these and not PGHOSTADDR.
clientVariables:
- {name: PGHOST, value: 127.0.0.1}
- {name: PGPORT, value: "${listen-port}"}
- {name: PGSSLMODE, value: disable}
{{- end }}
