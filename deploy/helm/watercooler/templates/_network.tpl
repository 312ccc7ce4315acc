{{/* What network policies allow. */}}

{{- define "watercooler.dns" -}}
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
  {{- with (.Values.networkPolicy | default dict).dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* DNS and the engines of a process: (list root facts). */}}
{{- define "watercooler.egress" -}}
{{- $root := index . 0 }}{{- $facts := index . 1 }}
{{- $policy := $root.Values.networkPolicy | default dict }}
{{- $at := include "watercooler.addresses" $root | fromYaml }}
{{- $full := include "watercooler.fullname" $root }}
{{- $ours := include "watercooler.selectorLabels" $root | fromYaml }}
{{- include "watercooler.dns" $root }}
{{- $needed := concat (list "database" "kafka") $facts.needs }}
{{- $operators := dict "database" (dict "cnpg.io/cluster" (printf "%s-database" $full)) "kafka" (dict "strimzi.io/cluster" $full) }}
{{- range $engine := $needed }}
{{- $given := get $policy $engine | default dict }}
{{- $by := "external" }}
{{- if ne $engine "smtp" }}{{- $by = include "watercooler.engine" (list $root $engine) }}{{- end }}
{{- if and (eq $engine "smtp") (not (include "watercooler.secret" (list $root "smtp"))) }}
{{- else if eq $by "tryout" }}
- ports: [{protocol: TCP, port: {{ get (dict "database" 5432 "kafka" 9092 "search" 9200 "blob" 7070) $engine }}}]
  to:
    - podSelector:
        matchLabels:
          {{- toYaml $ours | nindent 10 }}
          watercooler/service: tryout-{{ ternary "s3" $engine (eq $engine "blob") }}
{{- else if eq $by "operator" }}
- ports: [{protocol: TCP, port: {{ get (dict "database" 5432 "kafka" 9093 "search" 9200) $engine }}}]
  to:
    {{- with get $operators $engine }}
    - podSelector:
        matchLabels:
          {{- toYaml . | nindent 10 }}
    {{- else }}
    - podSelector: {}
    {{- end }}
{{- else }}
{{- $text := get (dict "kafka" $at.kafka.brokers "search" $at.search.url "blob" $at.blob.endpoint) $engine }}
{{- $fallback := get (dict "database" 5432 "kafka" 9092 "search" 443 "blob" 443 "smtp" 587) $engine }}
- {{- include "watercooler.ports" (list $text $given.ports $fallback) | nindent 2 }}
  {{- with $given.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- $outside := $policy.outside | default dict }}
{{- if and $facts.outside $outside.enabled }}
- ports:
    {{- range $outside.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  to:
    {{- toYaml $outside.to | nindent 4 }}
{{- end }}
{{- with $policy.extraEgress }}
{{ include "watercooler.rendered" (list $root .) }}
{{- end }}
{{- end -}}

{{/* Who reaches a process: people or callers, and the scrape of metrics: (list root service role facts). */}}
{{- define "watercooler.ingress" -}}
{{- $root := index . 0 }}{{- $service := index . 1 }}{{- $role := index . 2 }}{{- $facts := index . 3 }}
{{- $policy := $root.Values.networkPolicy | default dict }}
{{- $ours := include "watercooler.selectorLabels" $root | fromYaml }}
{{- if and (eq $role "api") $facts.http }}
- ports: [{protocol: TCP, port: http}]
  {{- if $policy.gatewayFrom }}
  from:
    {{- toYaml $policy.gatewayFrom | nindent 4 }}
    - podSelector:
        matchLabels:
          {{- toYaml $ours | nindent 10 }}
          watercooler/service: test
  {{- end }}
{{- end }}
{{- $callers := list }}
{{- range $name, $other := include "watercooler.services" $root | fromYaml }}
{{- if or (has $service $other.calls) (has $service $other.follows) }}{{ $callers = append $callers $name }}{{ end }}
{{- end }}
{{- if and (eq $role "api") $callers }}
- ports: [{protocol: TCP, port: grpc}]
  from:
    {{- range $callers }}
    - podSelector:
        matchLabels:
          {{- toYaml $ours | nindent 10 }}
          watercooler/service: {{ . }}
    {{- end }}
{{- end }}
{{- with $policy.metricsFrom }}
- ports: [{protocol: TCP, port: status}]
  from:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- with $policy.extraIngress }}
{{ include "watercooler.rendered" (list $root .) }}
{{- end }}
{{- end -}}
