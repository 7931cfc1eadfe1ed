{{/* The Validator's name: names of rounds, Jobs and pods derive from it. */}}
{{- define "validator.name" -}}
{{- $name := .Values.name | default .Release.Name -}}
{{- if gt (len $name) 24 -}}
{{- fail (printf "the validator's name %q has %d characters, at most 24 are possible: set `name`" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{- define "validator.labels" -}}
app.kubernetes.io/name: bitagent-validator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
