{{/* Base of all names: the release's name, with the chart's name unless it is part of it. At most 40 characters, so that suffixes fit. */}}
{{- define "operator.fullname" -}}
{{- $name := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) -}}
{{- trunc 40 $name | trimSuffix "-" -}}
{{- end }}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: bitagent-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "operator.ownLabels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels of all objects: ours, which cannot be replaced, and commonLabels. */}}
{{- define "operator.labels" -}}
{{- include "operator.labelsWith" (list . nil) -}}
{{- end }}

{{/* Labels with further ones, which do not replace them; arguments: root context, labels. */}}
{{- define "operator.labelsWith" -}}
{{- $root := index . 0 -}}
{{- merge (include "operator.ownLabels" $root | fromYaml) (index . 1 | default dict) ($root.Values.commonLabels | default dict) | toYaml -}}
{{- end }}

{{/* Annotations of an object: commonAnnotations, and those given. Arguments: root context, annotations. Empty without any. */}}
{{- define "operator.annotations" -}}
{{- $all := merge dict (index . 1 | default dict) ((index . 0).Values.commonAnnotations | default dict) -}}
{{- with $all -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "operator.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "operator.cacheClaim" -}}
{{- .Values.cache.existingClaim | default (printf "%s-models" (include "operator.fullname" .)) -}}
{{- end }}

{{- define "operator.artifactsClaim" -}}
{{- .Values.artifacts.existingClaim | default (printf "%s-artifacts" (include "operator.fullname" .)) -}}
{{- end }}

{{/* Reference of an image; arguments: root context, name. global.imageRegistry replaces the host, which is what comes before
the first slash and has a dot or a port, or is localhost. */}}
{{- define "operator.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $images := $root.Values.images -}}
{{- $digest := get ($images.digests | default dict) $name -}}
{{- $version := ternary (printf "@%s" $digest) (printf ":%s" ($images.tag | default $root.Chart.AppVersion)) (not (empty $digest)) -}}
{{- $reference := get $images $name | default (printf "%s/%s%s" $images.registry $name $version) -}}
{{- with dig "imageRegistry" "" ($root.Values.global | default dict) -}}
{{- printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $reference "") -}}
{{- else -}}
{{- $reference -}}
{{- end -}}
{{- end }}

{{/* Names of the Secrets with registry credentials, as JSON. */}}
{{- define "operator.pullSecrets" -}}
{{- concat (dig "imagePullSecrets" list (.Values.global | default dict)) .Values.images.pullSecrets | uniq | toJson -}}
{{- end }}

{{/* Names of the namespaces that are watched, as JSON: those of watch.namespaces, or that of the release. */}}
{{- define "operator.namespaces" -}}
{{- (.Values.watch).namespaces | default (list .Release.Namespace) | toJson -}}
{{- end }}

{{/* The member `namespace` of metadata for an object in one of them; empty in that of the release, where Helm puts
objects by itself. Arguments: root context, namespace. */}}
{{- define "operator.inNamespace" -}}
{{- if ne (index . 1) (index . 0).Release.Namespace -}}
namespace: {{ index . 1 }}
{{- end -}}
{{- end }}

{{/* Member of a peer in a network policy in the second namespace, for pods of the first one; empty if that is the same. */}}
{{- define "operator.peerNamespace" -}}
{{- if ne (index . 0) (index . 1) -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ index . 0 }}}}
{{- end -}}
{{- end }}
