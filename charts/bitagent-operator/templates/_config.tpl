{{/* The operator's configuration, and what goes into it. */}}
{{/* Additions of pods that reach the public network, as YAML: environment of the proxy, and the authorities' file. */}}
{{- define "operator.network" -}}
env:
{{- with .Values.proxy }}
{{- if or .http .https }}
{{- with .http }}
  - {name: HTTP_PROXY, value: {{ quote . }}}
{{- end }}
{{- with .https }}
  - {name: HTTPS_PROXY, value: {{ quote . }}}
{{- end }}
{{- $hosts := list "localhost" "127.0.0.1" }}
{{- range include "operator.namespaces" $ | fromJsonArray }}
{{- $hosts = append $hosts (printf ".%s" .) }}
{{- end }}
  - {name: NO_PROXY, value: {{ concat $hosts .noProxy | join "," | quote }}}
{{- end }}
{{- end }}
{{- if .Values.caBundle.configMap }}
{{- range tuple "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" }}
  - {name: {{ . }}, value: /etc/bitagent/ca/ca.crt}
{{- end }}
volumes:
  - name: ca-bundle
    configMap:
      name: {{ .Values.caBundle.configMap }}
      items: [{key: {{ .Values.caBundle.key }}, path: ca.crt}]
volumeMounts:
  - {name: ca-bundle, mountPath: /etc/bitagent/ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Settings of pods with the additions of the network before their own; arguments: root context, settings. */}}
{{- define "operator.networked" -}}
{{- $network := include "operator.network" (index . 0) | fromYaml -}}
{{- $settings := deepCopy (index . 1) -}}
{{- range $member := tuple "env" "volumes" "volumeMounts" -}}
{{- $all := concat (get $network $member | default list) (get $settings $member | default list) -}}
{{- if $all -}}
{{- $_ := set $settings $member $all -}}
{{- end -}}
{{- end -}}
{{- toJson $settings -}}
{{- end }}

{{/* Settings of all Jobs. */}}
{{- define "operator.jobs" -}}
{{- $jobs := deepCopy .Values.jobs -}}
{{- range $kind := tuple "fetch" "taskSet" "archive" -}}
{{- $_ := set $jobs $kind (include "operator.networked" (list $ (get $jobs $kind)) | fromJson) -}}
{{- end -}}
{{- toYaml $jobs -}}
{{- end }}

{{/* User of all processes; empty: the platform assigns one. Helm removes a value that is null. */}}
{{- define "operator.user" -}}
{{- if not (kindIs "invalid" .Values.securityContext.runAsUser) }}{{ int64 .Values.securityContext.runAsUser }}{{ end }}
{{- end }}

{{/* config.yaml as the operator reads it. Large numbers pass through int64: Helm's own are floats. */}}
{{- define "operator.config" -}}
namespace: {{ .Release.Namespace }}
{{- with (.Values.watch).namespaces }}
watch:
  namespaces: {{ toJson . }}
{{- end }}
deployment: {{ include "operator.fullname" . }}
images:
  evaluator: {{ include "operator.image" (list . "evaluator") | quote }}
  validator: {{ include "operator.image" (list . "validator") | quote }}
  {{- if .Values.images.examiner }}
  examiner: {{ include "operator.image" (list . "examiner") | quote }}
  {{- end }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
imagePullSecrets: {{ include "operator.pullSecrets" . }}
cache:
  mode: {{ default "Shared" .Values.cache.mode }}
  {{- if eq (default "Shared" .Values.cache.mode) "Shared" }}
  claimName: {{ include "operator.cacheClaim" . }}
  {{- else if kindIs "string" .Values.cache.storageClassName }}
  storageClassName: {{ quote .Values.cache.storageClassName }}
  {{- end }}
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
{{- with .Values.retention }}
{{- if or (ne .ttlSeconds nil) (ne .roundsPerValidator nil) .minFreeBytes }}
retention:
  {{- if ne .ttlSeconds nil }}
  ttlSeconds: {{ int64 .ttlSeconds }}
  {{- end }}
  {{- if ne .roundsPerValidator nil }}
  roundsPerValidator: {{ int64 .roundsPerValidator }}
  {{- end }}
  minFreeBytes: {{ int64 .minFreeBytes }}
{{- end }}
{{- end }}
hub:
  endpoint: {{ .Values.hub.endpoint | quote }}
  {{- with .Values.hub.tokenSecretRef }}
  tokenSecretRef: {{ toJson . }}
  {{- end }}
fetch:
  maxParallel: {{ int64 .Values.fetch.maxParallel }}
  maxResolutions: {{ int64 .Values.fetch.maxResolutions }}
evaluations:
  maxParallel: {{ int64 .Values.evaluations.maxParallel }}
securityContext:
  runAsUser: {{ include "operator.user" . | default "null" }}
gpuResourceName: {{ .Values.gpuResourceName | quote }}
jobs:
  {{- include "operator.jobs" . | nindent 2 }}
validator:
  {{- include "operator.networked" (list . .Values.validator) | fromJson | toYaml | nindent 2 }}
modelsPerHotkey: {{ int64 .Values.modelsPerHotkey }}
relistSeconds: {{ int64 .Values.relistSeconds }}
unschedulableSeconds: {{ int64 .Values.unschedulableSeconds }}
{{- end }}
