{{/* What a process of Watercooler is given: variables, secrets as files, and the rest of its pod. */}}

{{/* Stops where a setting that every production installation needs is missing, with what to do. */}}
{{- define "watercooler.required" -}}
{{- $problems := list -}}
{{- if and (eq (include "watercooler.engine" (list . "database")) "external") (not (include "watercooler.secret" (list . "database"))) -}}
{{- range $name, $_ := include "watercooler.services" . | fromYaml -}}
{{- $own := (get ($.Values.services | default dict) $name | default dict).database | default dict -}}
{{- if not $own.existingSecret -}}
{{- $problems = append $problems "database.existingSecret: name the Secret with the address of PostgreSQL (key url: postgresql://user:password@host:5432/watercooler_{service})" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq (include "watercooler.engine" (list . "kafka")) "external") (not (.Values.kafka | default dict).brokers) -}}
{{- $problems = append $problems "kafka.brokers: name some brokers of Kafka, as kafka-0.example.org:9092" -}}
{{- end -}}
{{- if and (hasPrefix "sasl" ((.Values.kafka | default dict).security | default "")) (not (include "watercooler.secret" (list . "kafka"))) -}}
{{- $problems = append $problems "kafka.existingSecret: name the Secret with the password, since kafka.security is SASL" -}}
{{- end -}}
{{- if and (eq (include "watercooler.engine" (list . "search")) "external") (not (.Values.search | default dict).url) -}}
{{- $problems = append $problems "search.url: name the address of OpenSearch, as https://opensearch.example.org:9200" -}}
{{- end -}}
{{- if and (eq (include "watercooler.engine" (list . "blob")) "external") (not (.Values.blob | default dict).url) -}}
{{- $problems = append $problems "blob.url: name the bucket for files, as s3://bucket" -}}
{{- end -}}
{{- $search := .Values.search | default dict -}}
{{- if and (eq (include "watercooler.engine" (list . "search")) "external") $search.username (not (include "watercooler.secret" (list . "search"))) -}}
{{- $problems = append $problems "search.existingSecret: name the Secret with the password of search.username" -}}
{{- end -}}
{{- $tls := .Values.tls | default dict -}}
{{- if and $tls.enabled (not ($tls.certManager | default dict).enabled) (not $tls.existingSecret) -}}
{{- range $name, $_ := include "watercooler.services" . | fromYaml -}}
{{- if not ((get ($.Values.services | default dict) $name | default dict).tls | default dict).existingSecret -}}
{{- $problems = append $problems (printf "tls.existingSecret (or services.%s.tls.existingSecret, or tls.certManager.enabled): name the Secret with the certificate, since tls.enabled is true" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\nThe chart needs to know more:\n  * %s\nOr set engines.tryout.enabled=true to try the network out with engines of its own.\n" ($problems | uniq | join "\n  * ")) -}}
{{- end -}}
{{- end -}}

{{/* Where the engines are: values, or what the chart brings. */}}
{{- define "watercooler.addresses" -}}
{{- $full := include "watercooler.fullname" . -}}
{{- $kafka := .Values.kafka | default dict -}}{{- $search := .Values.search | default dict -}}{{- $blob := .Values.blob | default dict -}}
{{- $by := dict "kafka" (include "watercooler.engine" (list . "kafka")) "search" (include "watercooler.engine" (list . "search")) "blob" (include "watercooler.engine" (list . "blob")) -}}
{{- if eq $by.kafka "operator" }}
kafka: {brokers: "{{ $full }}-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093", security: sasl_ssl, mechanism: scram-sha-512, username: {{ $full }}, replication: {{ min 3 (.Values.engines.strimzi.replicas | default 3 | int) }}}
{{- else if eq $by.kafka "tryout" }}
kafka: {brokers: "{{ $full }}-tryout-kafka.{{ .Release.Namespace }}.svc:9092", security: plaintext, mechanism: "", username: "", replication: 1}
{{- else }}
kafka: {brokers: {{ $kafka.brokers | quote }}, security: {{ $kafka.security | default "plaintext" }}, mechanism: {{ $kafka.mechanism | default "" | quote }}, username: {{ $kafka.username | default "" | quote }}, replication: {{ $kafka.replication | default 3 | int }}}
{{- end }}
{{- if eq $by.search "operator" }}
search: {url: "https://{{ $full }}-search.{{ .Release.Namespace }}.svc:9200", username: admin, replicas: {{ ternary 1 0 (gt (.Values.engines.opensearch.replicas | default 3 | int) 1) }}}
{{- else if eq $by.search "tryout" }}
search: {url: "http://{{ $full }}-tryout-search.{{ .Release.Namespace }}.svc:9200", username: "", replicas: 0}
{{- else }}
search: {url: {{ $search.url | quote }}, username: {{ $search.username | default "" | quote }}, replicas: {{ kindIs "invalid" $search.replicas | ternary 1 $search.replicas | int }}}
{{- end }}
{{- if eq $by.blob "tryout" }}
blob: {url: "s3://watercooler", endpoint: "http://{{ $full }}-tryout-s3.{{ .Release.Namespace }}.svc:7070", region: us-east-1}
{{- else }}
blob: {url: {{ $blob.url | quote }}, endpoint: {{ $blob.endpoint | default "" | quote }}, region: {{ $blob.region | default "us-east-1" | quote }}}
{{- end }}
{{- end -}}

{{/* Secrets that a process gets as files: a list of {secret, key, file, variable}. (list root service facts migrates) */}}
{{- define "watercooler.secretFiles" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $facts := index . 2 -}}{{- $migrates := index . 3 -}}
{{- $values := $root.Values -}}
{{- $found := list -}}
{{- $own := (get ($values.services | default dict) $service | default dict).database | default dict -}}
{{- $database := $values.database | default dict -}}
{{- $engine := include "watercooler.engine" (list $root "database") -}}
{{- $secret := $own.existingSecret | default (include "watercooler.secretOf" (list $root "database" $migrates)) -}}
{{- $key := ternary ($own.key | default "url") ($database.key | default "url") (not (empty $own.existingSecret)) -}}
{{- if ne $engine "external" -}}{{- $secret = include "watercooler.secret" (list $root "database") -}}{{- $key = "url" -}}{{- end -}}
{{- $other := $database.migrations | default dict -}}
{{- if and $migrates $other.existingSecret -}}
{{- $secret = $other.existingSecret -}}{{- $key = $other.key | default "url" -}}
{{- end -}}
{{- $found = append $found (dict "secret" $secret "key" $key "file" "database-url" "variable" "DATABASE_URL_FILE") -}}
{{- $addresses := include "watercooler.addresses" $root | fromYaml -}}
{{- if hasPrefix "sasl" $addresses.kafka.security -}}
{{- $key = ternary "password" (($values.kafka | default dict).key | default "password") (ne (include "watercooler.engine" (list $root "kafka")) "external") -}}
{{- $found = append $found (dict "secret" (include "watercooler.secretOf" (list $root "kafka" $migrates)) "key" $key "file" "kafka-password" "variable" "KAFKA_PASSWORD_FILE") -}}
{{- end -}}
{{- if not $migrates -}}
{{- if and (has "search" $facts.needs) (include "watercooler.secret" (list $root "search")) -}}
{{- $key = ternary "password" (($values.search | default dict).key | default "password") (eq (include "watercooler.engine" (list $root "search")) "operator") -}}
{{- $found = append $found (dict "secret" (include "watercooler.secret" (list $root "search")) "key" $key "file" "search-password" "variable" "SEARCH_PASSWORD_FILE") -}}
{{- end -}}
{{- if and (has "blob" $facts.needs) (include "watercooler.secret" (list $root "blob")) -}}
{{- $key = ternary "secret-key" (($values.blob | default dict).secretKeyKey | default "secret-key") (eq (include "watercooler.engine" (list $root "blob")) "tryout") -}}
{{- $found = append $found (dict "secret" (include "watercooler.secret" (list $root "blob")) "key" $key "file" "blob-secret-key" "variable" "BLOB_SECRET_KEY_FILE") -}}
{{- end -}}
{{- if and (has "smtp" $facts.needs) (include "watercooler.secret" (list $root "smtp")) -}}
{{- $found = append $found (dict "secret" (include "watercooler.secret" (list $root "smtp")) "key" (($values.smtp | default dict).key | default "url") "file" "smtp-url" "variable" "SMTP_URL_FILE") -}}
{{- end -}}
{{- if $facts.secretKey -}}
{{- $key = ternary "secret-key" (($values.secretKey | default dict).key | default "secret-key") (ne (include "watercooler.makesSecret" (list $root "secretKey")) "") -}}
{{- $found = append $found (dict "secret" (include "watercooler.secret" (list $root "secretKey")) "key" $key "file" "secret-key" "variable" "SECRET_KEY_FILE") -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "files" $found) -}}
{{- end -}}

{{/* Certificates of engines: a list of {secret, key, folder, variable}. (list root facts migrates) */}}
{{- define "watercooler.authorities" -}}
{{- $root := index . 0 -}}{{- $values := $root.Values -}}{{- $full := include "watercooler.fullname" $root -}}
{{- $found := list -}}
{{- $ca := ($values.database | default dict).ca | default dict -}}
{{- if $ca.existingSecret -}}{{- $found = append $found (dict "secret" $ca.existingSecret "key" ($ca.key | default "ca.crt") "folder" "database" "variable" "") -}}{{- end -}}
{{- $ca = ($values.kafka | default dict).ca | default dict -}}
{{- if eq (include "watercooler.engine" (list $root "kafka")) "operator" -}}{{- $ca = dict "existingSecret" (printf "%s-cluster-ca-cert" $full) -}}{{- end -}}
{{- if $ca.existingSecret -}}{{- $found = append $found (dict "secret" $ca.existingSecret "key" ($ca.key | default "ca.crt") "folder" "kafka" "variable" "KAFKA_CA_FILE") -}}{{- end -}}
{{- if and (has "search" (index . 1).needs) (not (index . 2)) -}}
{{- $ca = ($values.search | default dict).ca | default dict -}}
{{- if eq (include "watercooler.engine" (list $root "search")) "operator" -}}{{- $ca = dict "existingSecret" (printf "%s-search-http-cert" $full) -}}{{- end -}}
{{- if $ca.existingSecret -}}{{- $found = append $found (dict "secret" $ca.existingSecret "key" ($ca.key | default "ca.crt") "folder" "search" "variable" "SEARCH_CA_FILE") -}}{{- end -}}
{{- end -}}
{{- toYaml (dict "authorities" $found) -}}
{{- end -}}

{{/* The Secret with a service's certificate for calls: (list root service). */}}
{{- define "watercooler.certificate" -}}
{{- $root := index . 0 -}}{{- $tls := $root.Values.tls | default dict -}}
{{- $own := (get ($root.Values.services | default dict) (index . 1) | default dict).tls | default dict -}}
{{- if $own.existingSecret -}}{{ $own.existingSecret }}
{{- else if ($tls.certManager | default dict).enabled -}}{{ include "watercooler.fullname" $root }}-{{ index . 1 }}-tls
{{- else -}}{{ $tls.existingSecret }}{{- end -}}
{{- end -}}

{{/* Variables: (list root service facts config migrates [without-database]). A name that the user sets as well is left to them. */}}
{{- define "watercooler.env" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $facts := index . 2 -}}{{- $config := index . 3 -}}{{- $migrates := index . 4 -}}
{{- $values := $root.Values -}}
{{- $at := include "watercooler.addresses" $root | fromYaml -}}
{{- $database := $values.database | default dict -}}{{- $kafka := $values.kafka | default dict -}}{{- $search := $values.search | default dict -}}
{{- $plain := dict "DATA" "/var/lib/watercooler" "LOG_FORMAT" "json" "KEYS" "/etc/watercooler/keys" -}}
{{- $_ := set $plain "DATABASE_CONNECTIONS" ($database.connections | default 16 | int) -}}
{{- $_ := set $plain "DATABASE_TIMEOUT" ($database.timeout | default "30s") -}}
{{- $_ := set $plain "KAFKA_BROKERS" $at.kafka.brokers -}}
{{- $_ := set $plain "KAFKA_SECURITY" $at.kafka.security -}}
{{- if hasPrefix "sasl" $at.kafka.security -}}
{{- $_ := set $plain "KAFKA_MECHANISM" ($at.kafka.mechanism | default "scram-sha-512") -}}
{{- $_ := set $plain "KAFKA_USERNAME" $at.kafka.username -}}
{{- end -}}
{{- with $kafka.prefix -}}{{- $_ := set $plain "KAFKA_PREFIX" . -}}{{- end -}}
{{- $_ := set $plain "KAFKA_PARTITIONS" ($kafka.partitions | default 6 | int) -}}
{{- $_ := set $plain "KAFKA_REPLICATION" ($at.kafka.replication | int) -}}
{{- $_ := set $plain "KAFKA_RETENTION" ($kafka.retention | default "14d") -}}
{{- if $migrates -}}
{{- $_ := unset $plain "KEYS" -}}
{{- else -}}
{{- $_ := set $plain "GRPC_HOST" "0.0.0.0" -}}{{- $_ := set $plain "GRPC_PORT" 9000 -}}{{- $_ := set $plain "STATUS_PORT" 9090 -}}
{{- $_ := set $plain "SERVICE_ADDRESSES" (printf "%s-{service}.%s.svc:9000" (include "watercooler.fullname" $root) $root.Release.Namespace) -}}
{{- $_ := set $plain "STOP_PAUSE" ($config.stopPause | default "3s") -}}
{{- with $values.publicUrl -}}{{- $_ := set $plain "PUBLIC_URL" . -}}{{- end -}}
{{- if $facts.http -}}
{{- $_ := set $plain "HOST" "0.0.0.0" -}}{{- $_ := set $plain "PORT" 8000 -}}
{{- if or ($values.ingress | default dict).enabled ($values.httpRoute | default dict).enabled -}}
{{- /* What stands before the gateway runs in pods; without this all visitors would share its address, and the limit on signing in. */ -}}
{{- $_ := set $plain "TRUSTED_PROXIES" "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7,127.0.0.0/8,::1/128" -}}
{{- end -}}
{{- end -}}
{{- if has "search" $facts.needs -}}
{{- $_ := set $plain "SEARCH_URL" $at.search.url -}}
{{- with $at.search.username -}}{{- $_ := set $plain "SEARCH_USERNAME" . -}}{{- end -}}
{{- $_ := set $plain "SEARCH_PREFIX" ($search.prefix | default "watercooler") -}}
{{- $_ := set $plain "SEARCH_SHARDS" ($search.shards | default 1 | int) -}}
{{- $_ := set $plain "SEARCH_REPLICAS" ($at.search.replicas | int) -}}
{{- end -}}
{{- if has "blob" $facts.needs -}}
{{- $_ := set $plain "BLOB_URL" $at.blob.url -}}
{{- with $at.blob.endpoint -}}{{- $_ := set $plain "BLOB_ENDPOINT" . -}}{{- end -}}
{{- $_ := set $plain "BLOB_REGION" $at.blob.region -}}
{{- end -}}
{{- if has "smtp" $facts.needs -}}{{- with ($values.smtp | default dict).sender -}}{{- $_ := set $plain "MAIL_SENDER" . -}}{{- end -}}{{- end -}}
{{- if ($values.tls | default dict).enabled -}}
{{- $_ := set $plain "TLS_CERTIFICATE_FILE" "/etc/watercooler/tls/tls.crt" -}}
{{- $_ := set $plain "TLS_KEY_FILE" "/etc/watercooler/tls/tls.key" -}}
{{- $_ := set $plain "TLS_CA_FILE" "/etc/watercooler/tls/ca.crt" -}}
{{- $_ := set $plain "TLS_CLIENTS" ($values.tls.clients | default "required") -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values.settings -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $plain (upper $name) $value -}}{{- end -}}
{{- end -}}
{{- range (include "watercooler.secretFiles" (list $root $service $facts $migrates) | fromYaml).files -}}
{{- $_ := set $plain .variable (printf "/etc/watercooler/secrets/%s" .file) -}}
{{- end -}}
{{- range (include "watercooler.authorities" (list $root $facts $migrates) | fromYaml).authorities -}}
{{- if .variable -}}{{- $_ := set $plain .variable (printf "/etc/watercooler/ca/%s/ca.crt" .folder) -}}{{- end -}}
{{- end -}}
{{- if and (gt (len .) 5) (index . (min 5 (sub (len .) 1) | int)) -}}
{{- $plain = omit $plain "DATABASE_URL_FILE" "DATABASE_CONNECTIONS" "DATABASE_TIMEOUT" -}}
{{- end -}}
{{- $extra := include "watercooler.rendered" (list $root $config.extraEnv) | fromYamlArray -}}
{{- $taken := list -}}
{{- range $extra -}}{{- $taken = append $taken .name -}}{{- end -}}
{{- range $name, $value := $plain -}}
{{- $variable := printf "WATERCOOLER_%s" $name -}}
{{- if not (has $variable $taken) }}
- name: {{ $variable }}
  value: {{ $value | toString | quote }}
{{- end -}}
{{- end -}}
{{- if and (has "blob" $facts.needs) (not $migrates) (include "watercooler.secret" (list $root "blob")) (not (has "WATERCOOLER_BLOB_ACCESS_KEY" $taken)) }}
- name: WATERCOOLER_BLOB_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "watercooler.secret" (list $root "blob") }}
      key: {{ ternary "access-key" (($values.blob | default dict).accessKeyKey | default "access-key") (eq (include "watercooler.engine" (list $root "blob")) "tryout") }}
{{- end }}
{{- if $extra }}
{{ toYaml $extra }}
{{- end }}
{{- end -}}

{{/* Mounts of a container: (list root service facts config migrates). */}}
{{- define "watercooler.mounts" -}}
{{- $root := index . 0 -}}{{- $facts := index . 2 -}}{{- $config := index . 3 -}}{{- $migrates := index . 4 -}}
- {name: scratch, mountPath: /tmp, subPath: tmp}
- {name: scratch, mountPath: /var/lib/watercooler, subPath: data}
- {name: secrets, mountPath: /etc/watercooler/secrets, readOnly: true}
{{- if not $migrates }}
- {name: keys, mountPath: /etc/watercooler/keys, readOnly: true}
{{- if ($root.Values.tls | default dict).enabled }}
- {name: tls, mountPath: /etc/watercooler/tls, readOnly: true}
{{- end }}
{{- end }}
{{- range (include "watercooler.authorities" (list $root $facts $migrates) | fromYaml).authorities }}
- {name: ca-{{ .folder }}, mountPath: /etc/watercooler/ca/{{ .folder }}, readOnly: true}
{{- end }}
{{- with include "watercooler.rendered" (list $root $config.extraVolumeMounts) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Volumes of a pod: (list root service facts config migrates). */}}
{{- define "watercooler.volumes" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $facts := index . 2 -}}{{- $config := index . 3 -}}{{- $migrates := index . 4 -}}
- name: scratch
  emptyDir: {sizeLimit: {{ $config.scratchSize | default "1Gi" }}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range (include "watercooler.secretFiles" (list $root $service $facts $migrates) | fromYaml).files }}
      - secret: {name: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .file }}}]}
      {{- end }}
{{- if not $migrates }}
- name: keys
  secret: {secretName: {{ include "watercooler.secret" (list $root "signingKeys") }}, defaultMode: 0440}
{{- if ($root.Values.tls | default dict).enabled }}
- name: tls
  secret: {secretName: {{ include "watercooler.certificate" (list $root $service) }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- range (include "watercooler.authorities" (list $root $facts $migrates) | fromYaml).authorities }}
- name: ca-{{ .folder }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440, items: [{key: {{ .key }}, path: ca.crt}]}
{{- end }}
{{- with include "watercooler.rendered" (list $root $config.extraVolumes) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Where pods may run, and as whom: (list root config selector). */}}
{{- define "watercooler.placement" -}}
{{- $root := index . 0 -}}{{- $config := index . 1 -}}{{- $selector := index . 2 -}}
automountServiceAccountToken: false
# A Service named watercooler-x would otherwise give variables WATERCOOLER_X_..., which are no settings.
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $config.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $config.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and $selector $config.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range $config.topologySpreadConstraints }}
  {{- $constraint := deepCopy . }}
  {{- if not $constraint.labelSelector }}{{- $_ := set $constraint "labelSelector" (dict "matchLabels" $selector) }}{{- end }}
  - {{- toYaml $constraint | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Containers that bring the databases and topics up to date before a pod starts: (list root service facts config). */}}
{{- define "watercooler.initMigrations" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $config := index . 3 -}}
{{- $arguments := list $root $service (index . 2) $config true -}}
{{- if eq (include "watercooler.engine" (list $root "database")) "tryout" }}
- name: database
  image: {{ $root.Values.engines.tryout.images.postgresql }}
  command: [sh, -c]
  args:
    - |
      until psql -tAc 'SELECT 1' >/dev/null; do echo "waiting for PostgreSQL"; sleep 2; done
      psql -tAc "SELECT 1 FROM pg_database WHERE datname = 'watercooler_{{ $service }}'" | grep -q 1 \
          || createdb watercooler_{{ $service }} || psql -d watercooler_{{ $service }} -tAc 'SELECT 1'
  env:
    - {name: PGHOST, value: {{ include "watercooler.fullname" $root }}-tryout-database}
    - {name: PGUSER, value: watercooler}
    - {name: PGDATABASE, value: postgres}
    - name: PGPASSWORD
      valueFrom: {secretKeyRef: {name: {{ include "watercooler.secret" (list $root "database") }}, key: password}}
  resources:
    requests: {cpu: 10m, memory: 32Mi, ephemeral-storage: 16Mi}
    limits: {memory: 128Mi, ephemeral-storage: 64Mi}
  {{- with $config.containerSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- range $name, $command := dict "migrate" (list "migrate" $service "--wait") "topics" (list "topics" "--create" "--wait") }}
- name: {{ $name }}
  image: {{ include "watercooler.image" $root }}
  imagePullPolicy: {{ ($root.Values.image | default dict).pullPolicy | default "IfNotPresent" }}
  args: {{ toJson $command }}
  env:
    {{- include "watercooler.env" (append $arguments (eq $name "topics")) | nindent 4 }}
  volumeMounts:
    {{- include "watercooler.mounts" $arguments | nindent 4 }}
  {{- with ($root.Values.migrations | default dict).resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $config.containerSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A probe: what the values say, and how to ask where they do not: (list values default). */}}
{{- define "watercooler.probe" -}}
{{- $probe := index . 0 | default dict -}}
{{- if not (or $probe.exec $probe.grpc $probe.httpGet $probe.tcpSocket) -}}{{- $probe = merge (deepCopy $probe) (index . 1) -}}{{- end -}}
{{- toYaml $probe -}}
{{- end -}}
