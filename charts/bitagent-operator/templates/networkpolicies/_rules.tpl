{{- define "operator.egressDns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- end }}
{{- define "operator.egressApiServer" -}}
- to:
    {{- toYaml .Values.networkPolicy.apiServer.to | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- define "operator.ingressMetrics" -}}
{{- with .Values.networkPolicy.metricsFrom }}
ingress:
  - from:
      {{- toYaml . | nindent 6 }}
    ports: [{protocol: TCP, port: 9090}]
{{- end }}
{{- end }}
{{- /* Arguments: root context, suffix of the name, namespace. */}}
{{- define "operator.policyMetadata" -}}
{{- $root := index . 0 -}}
name: {{ printf "%s-%s" (include "operator.fullname" $root) (index . 1) }}
{{- with include "operator.inNamespace" (list $root (index . 2)) }}
{{ . }}
{{- end }}
labels:
  {{- include "operator.labels" $root | nindent 2 }}
{{- with include "operator.annotations" (list $root nil) }}
{{ . }}
{{- end }}
{{- end }}
{{- /* Pods that the operator made carry these labels; see the operator's own policy for the other kind. */}}
{{- define "operator.madePods" -}}
matchLabels:
  app.kubernetes.io/managed-by: bitagent-operator
  app.kubernetes.io/component: {{ . }}
{{- end }}
