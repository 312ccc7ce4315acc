{{/* Names, labels and small tools. */}}

{{- define "watercooler.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "watercooler.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "watercooler.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "watercooler.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change while a release lives: what selectors and policies name. No version of the chart or image. */}}
{{- define "watercooler.selectorLabels" -}}
app.kubernetes.io/name: {{ include "watercooler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object: (list root component). */}}
{{- define "watercooler.labels" -}}
{{- $root := index . 0 -}}
{{ include "watercooler.selectorLabels" $root }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/part-of: watercooler
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- range $key, $value := $root.Values.commonLabels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list root name component annotations). Labels are last: a template may add to them below. */}}
{{- define "watercooler.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
{{- $annotations := include "watercooler.merge" (list $root.Values.commonAnnotations (index . 3)) | fromYaml }}
{{- with $annotations }}
annotations:
  {{- range $key, $value := . }}
  {{ $key }}: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
labels:
  {{- include "watercooler.labels" (list $root (index . 2)) | nindent 2 }}
{{- end -}}

{{/* One map over another, in depth; false, 0, "" and null in the upper one count, unlike in Sprig's merges: (list lower upper). */}}
{{- define "watercooler.merge" -}}
{{- $made := deepCopy (index . 0 | default dict) -}}
{{- range $key, $value := (index . 1 | default dict) -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $made $key)) -}}
{{- $_ := set $made $key (include "watercooler.merge" (list (get $made $key) $value) | fromYaml) -}}
{{- else -}}
{{- $_ := set $made $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $made -}}
{{- end -}}

{{/* A value in which templates are rendered: (list root value). Nothing for an empty one. */}}
{{- define "watercooler.rendered" -}}
{{- $value := index . 1 -}}
{{- if $value -}}
{{- if kindIs "string" $value -}}{{ tpl $value (index . 0) }}{{- else -}}{{ tpl (toYaml $value) (index . 0) }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The services: files/services.yaml. */}}
{{- define "watercooler.services" -}}
{{- .Files.Get "files/services.yaml" -}}
{{- end -}}

{{/* The processes of a service: api, worker, and relay where it is separate. (list root facts) */}}
{{- define "watercooler.roles" -}}
{{- $relay := and (((index . 0).Values.relay | default dict).separate) (index . 1).publishes -}}
roles: [api, worker{{ if $relay }}, relay{{ end }}]
{{- end -}}

{{/* What holds for the pods of one role of a service: (list root service role). */}}
{{- define "watercooler.config" -}}
{{- $root := index . 0 -}}{{- $role := ternary "api" "worker" (eq (index . 2) "api") -}}
{{- $own := get ((get ($root.Values.services | default dict) (index . 1)) | default dict) $role -}}
{{- $general := include "watercooler.merge" (list $root.Values.pod (get $root.Values $role)) | fromYaml -}}
{{- include "watercooler.merge" (list $general $own) -}}
{{- end -}}

{{- define "watercooler.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "watercooler" -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The name of a Service or Deployment: (list root service role). The api bears the service's name, which others call. */}}
{{- define "watercooler.objectName" -}}
{{- include "watercooler.fullname" (index . 0) }}-{{ index . 1 }}{{ if ne (index . 2) "api" }}-{{ index . 2 }}{{ end -}}
{{- end -}}

{{- define "watercooler.serviceAccount" -}}
{{- $root := index . 0 -}}{{- $account := $root.Values.serviceAccount | default dict -}}
{{- if eq (toString $account.create) "false" -}}{{ $account.name | default "default" }}
{{- else -}}{{ include "watercooler.fullname" $root }}-{{ index . 1 }}{{- end -}}
{{- end -}}

{{/* hook or init: see migrations.mode in values.yaml. */}}
{{- define "watercooler.migrationMode" -}}
{{- $mode := (.Values.migrations | default dict).mode | default "auto" -}}
{{- $own := include "watercooler.ownEngines" . -}}
{{- if ne $mode "auto" -}}
{{- if and (eq $mode "hook") $own -}}
{{- fail "migrations.mode: hook would wait for engines that are installed after it; set it to auto or init while engines.* is enabled" -}}
{{- end -}}
{{- $mode -}}
{{- else -}}{{ ternary "init" "hook" (ne $own "") }}{{- end -}}
{{- end -}}

{{/* Which engine gives the database and so on: external, operator or tryout. (list root engine) */}}
{{- define "watercooler.engine" -}}
{{- $engines := (index . 0).Values.engines | default dict -}}
{{- $operator := get (dict "database" "cloudnativepg" "kafka" "strimzi" "search" "opensearch" "blob" "none") (index . 1) -}}
{{- $byOperator := (get $engines $operator | default dict).enabled -}}
{{- $tryout := ($engines.tryout | default dict).enabled -}}
{{- if $byOperator -}}operator{{- else if $tryout -}}tryout{{- else -}}external{{- end -}}
{{- end -}}

{{/* The engines this release brings that migrations need, or nothing. */}}
{{- define "watercooler.ownEngines" -}}
{{- range list "database" "kafka" -}}
{{- if ne (include "watercooler.engine" (list $ .)) "external" -}}{{ . }} {{ end -}}
{{- end -}}
{{- end -}}

{{/* The Secret that holds a secret: named by the user, made by External Secrets, or made by the chart; nothing where there is none. (list root slot) */}}
{{- define "watercooler.secret" -}}
{{- $root := index . 0 -}}{{- $slot := index . 1 -}}
{{- $external := $root.Values.externalSecrets | default dict -}}
{{- $named := (get $root.Values $slot | default dict).existingSecret -}}
{{- if has $slot (list "database" "kafka" "search" "blob") -}}
{{- $engine := include "watercooler.engine" (list $root $slot) -}}
{{- if and (eq $slot "search") (eq $engine "operator") -}}
{{- $own := $root.Values.engines.opensearch.existingSecret -}}
{{- $named = $own | default (printf "%s-search-admin-password" (include "watercooler.fullname" $root)) -}}
{{- else if and (eq $slot "search") (eq $engine "tryout") -}}
{{- $named = "" -}}
{{- else if ne $engine "external" -}}
{{- $named = printf "%s-%s" (include "watercooler.fullname" $root) $slot -}}
{{- end -}}
{{- end -}}
{{- if $named -}}
{{- $named -}}
{{- else if and $external.enabled (get ($external.secrets | default dict) $slot) -}}
{{- include "watercooler.fullname" $root }}-{{ kebabcase $slot -}}
{{- else if has $slot (list "secretKey" "signingKeys") -}}
{{- include "watercooler.fullname" $root }}-{{ kebabcase $slot -}}
{{- end -}}
{{- end -}}

{{/* The same for a process that migrates: the hook Job has Secrets of its own where External Secrets would make the others after it. (list root slot migrates) */}}
{{- define "watercooler.secretOf" -}}
{{- $root := index . 0 -}}{{- $slot := index . 1 -}}{{- $external := $root.Values.externalSecrets | default dict -}}
{{- $made := and $external.enabled (get ($external.secrets | default dict) $slot) (not (get $root.Values $slot | default dict).existingSecret) -}}
{{- if and (index . 2) $made (eq (include "watercooler.migrationMode" $root) "hook") -}}
{{- include "watercooler.fullname" $root }}-migrations-{{ kebabcase $slot -}}
{{- else -}}
{{- include "watercooler.secret" (list $root $slot) -}}
{{- end -}}
{{- end -}}

{{/* Whether the chart itself makes that secret. (list root slot) */}}
{{- define "watercooler.makesSecret" -}}
{{- $root := index . 0 -}}{{- $external := $root.Values.externalSecrets | default dict -}}
{{- if not (or (get $root.Values (index . 1) | default dict).existingSecret (and $external.enabled (get ($external.secrets | default dict) (index . 1)))) -}}yes{{- end -}}
{{- end -}}

{{/* Ports in a list of hosts with ports, else those given: (list text ports fallback). */}}
{{- define "watercooler.ports" -}}
{{- $ports := index . 1 -}}
{{- if not $ports -}}
{{- $ports = list -}}
{{- range regexFindAll ":[0-9]+(/|,|$)" (index . 0 | default "") -1 -}}
{{- $ports = append $ports (regexFind "[0-9]+" . | int) -}}
{{- end -}}
{{- end -}}
{{- if not $ports -}}{{- $ports = list (ternary 80 (index . 2) (hasPrefix "http:" (index . 0 | default ""))) -}}{{- end -}}
ports:
{{- range $ports | uniq }}
  - {protocol: TCP, port: {{ . | int }}}
{{- end }}
{{- end -}}

{{/* An ExternalSecret: (list root slot name annotations). */}}
{{- define "watercooler.externalSecret" -}}
{{- $root := index . 0 }}{{- $name := index . 2 }}{{- $external := $root.Values.externalSecrets }}
{{- $what := get $external.secrets (index . 1) }}
apiVersion: {{ $external.apiVersion | default "external-secrets.io/v1" }}
kind: ExternalSecret
metadata:
  {{- include "watercooler.metadata" (list $root $name "secrets" (index . 3)) | nindent 2 }}
spec:
  refreshInterval: {{ $external.refreshInterval | default "1h" }}
  secretStoreRef: {name: {{ $external.storeRef.name }}, kind: {{ $external.storeRef.kind | default "ClusterSecretStore" }}}
  target: {name: {{ $name }}, creationPolicy: Owner}
  {{- with $what.data }}
  data:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $what.dataFrom }}
  dataFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
