{{- define "miner.fullname" -}}
{{- trunc 52 (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) | trimSuffix "-" -}}
{{- end }}

{{- define "miner.selectorLabels" -}}
app.kubernetes.io/name: bitagent-miner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "miner.ownLabels" -}}
{{ include "miner.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels of an object: ours, which cannot be replaced, those given, and commonLabels. Arguments: root context, labels. */}}
{{- define "miner.labelsWith" -}}
{{- $root := index . 0 -}}
{{- merge (include "miner.ownLabels" $root | fromYaml) (index . 1 | default dict) $root.Values.commonLabels | toYaml -}}
{{- end }}

{{- define "miner.labels" -}}
{{- include "miner.labelsWith" (list . nil) -}}
{{- end }}

{{/* Reference of the image. global.imageRegistry replaces the host, which is what comes before the first slash and has a dot
or a port, or is localhost. */}}
{{- define "miner.image" -}}
{{- $reference := .Values.image.reference -}}
{{- with .Values.global.imageRegistry -}}
{{- printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $reference "") -}}
{{- else -}}
{{- $reference -}}
{{- end -}}
{{- end }}

{{/* An IPv6 address with a port is in brackets. */}}
{{- define "miner.announced" -}}
{{- $port := .Values.announce.port | default .Values.service.port | int -}}
{{- ternary (printf "[%s]:%d" .Values.announce.address $port) (printf "%s:%d" .Values.announce.address $port) (contains ":" .Values.announce.address) -}}
{{- end }}
