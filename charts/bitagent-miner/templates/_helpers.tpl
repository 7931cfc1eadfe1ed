{{- define "miner.fullname" -}}
{{- trunc 52 (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) | trimSuffix "-" -}}
{{- end }}

{{- define "miner.selectorLabels" -}}
app.kubernetes.io/name: bitagent-miner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "miner.labels" -}}
{{ include "miner.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* An IPv6 address with a port is in brackets. */}}
{{- define "miner.announced" -}}
{{- $port := .Values.announce.port | default .Values.service.port | int -}}
{{- ternary (printf "[%s]:%d" .Values.announce.address $port) (printf "%s:%d" .Values.announce.address $port) (contains ":" .Values.announce.address) -}}
{{- end }}
