{{/* Base of all names: the release's name, with the chart's name unless it is part of it. At most 40 characters, so that suffixes fit. */}}
{{- define "operator.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- trunc 40 $name | trimSuffix "-" -}}
{{- end }}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: bitagent-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "operator.fullname" .) -}}
{{- end }}

{{- define "operator.cacheClaim" -}}
{{- .Values.cache.existingClaim | default (printf "%s-models" (include "operator.fullname" .)) -}}
{{- end }}

{{- define "operator.artifactsClaim" -}}
{{- .Values.artifacts.existingClaim | default (printf "%s-artifacts" (include "operator.fullname" .)) -}}
{{- end }}

{{/* Reference of an image; arguments: root context, name. */}}
{{- define "operator.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $images := $root.Values.images -}}
{{- get $images $name | default (printf "%s/%s:%s" $images.registry $name ($images.tag | default $root.Chart.AppVersion)) -}}
{{- end }}

{{/* config.yaml as the operator reads it. Large numbers pass through int64: Helm's own are floats. */}}
{{- define "operator.config" -}}
namespace: {{ .Release.Namespace }}
images:
  evaluator: {{ include "operator.image" (list . "evaluator") | quote }}
  validator: {{ include "operator.image" (list . "validator") | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
imagePullSecrets: {{ toJson .Values.images.pullSecrets }}
cache:
  claimName: {{ include "operator.cacheClaim" . }}
  maxBytes: {{ int64 .Values.cache.maxBytes }}
  maxModelBytes: {{ int64 .Values.cache.maxModelBytes }}
  maxHotkeyBytes: {{ int64 .Values.cache.maxHotkeyBytes }}
artifacts:
  claimName: {{ include "operator.artifactsClaim" . }}
{{- with .Values.archive }}
{{- if .url }}
archive:
  url: {{ .url | quote }}
  {{- with .endpoint }}
  endpoint: {{ . | quote }}
  {{- end }}
  region: {{ .region | quote }}
  secretName: {{ .secretName | quote }}
  {{- with .caConfigMap }}
  caConfigMap: {{ . | quote }}
  {{- end }}
  pathStyle: {{ .pathStyle }}
{{- end }}
{{- end }}
hub:
  endpoint: {{ .Values.hub.endpoint | quote }}
gpuResourceName: {{ .Values.gpuResourceName | quote }}
jobs:
  {{- toYaml .Values.jobs | nindent 2 }}
validator:
  {{- toYaml .Values.validator | nindent 2 }}
modelsPerHotkey: {{ int64 .Values.modelsPerHotkey }}
relistSeconds: {{ int64 .Values.relistSeconds }}
unschedulableSeconds: {{ int64 .Values.unschedulableSeconds }}
{{- end }}
