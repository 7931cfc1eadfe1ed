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

{{/* User of all processes; empty: the platform assigns one. Helm removes a value that is null. */}}
{{- define "operator.user" -}}
{{- if not (kindIs "invalid" .Values.securityContext.runAsUser) }}{{ int64 .Values.securityContext.runAsUser }}{{ end }}
{{- end }}

{{/* Storage classes of one node at a time, by their provisioners: what most clusters have by default. */}}
{{- define "operator.singleNodeProvisioners" -}}
- blockvolume.csi.oraclecloud.com
- cinder.csi.openstack.org
- csi.hetzner.cloud
- csi.vsphere.vmware.com
- disk.csi.azure.com
- dobs.csi.digitalocean.com
- ebs.csi.aws.com
- kubernetes.io/aws-ebs
- kubernetes.io/azure-disk
- kubernetes.io/gce-pd
- openebs.io/local
- pd.csi.storage.gke.io
- rancher.io/local-path
- topolvm.io
{{- end }}

{{/* What a look at the cluster's storage classes says against the claims. Only a release that installs the definitions
looks: its installer has rights beyond the namespace. `helm template` sees no cluster and says nothing. */}}
{{- define "operator.storageNotes" -}}
{{- if .Values.crds.install }}
{{- $found := lookup "storage.k8s.io/v1" "StorageClass" "" "" }}
{{- if hasKey $found "items" }}
{{- $default := dict }}
{{- $classes := dict }}
{{- range $class := $found.items }}
{{- $_ := set $classes $class.metadata.name $class }}
{{- if eq (dig "annotations" "storageclass.kubernetes.io/is-default-class" "" $class.metadata) "true" }}
{{- $default = $class }}
{{- end }}
{{- end }}
{{- range $name, $volume := dict "cache" .Values.cache "artifacts" .Values.artifacts }}
{{- $perModel := eq (default "Shared" $volume.mode) "VolumePerModel" }}
{{- if or $perModel (not (or $volume.existingClaim $volume.volumeName)) }}
{{- $named := $volume.storageClassName }}
{{- $class := ternary (get $classes (default "" $named)) $default (kindIs "string" $named) }}
{{- if and (kindIs "invalid" $named) (not $class) }}

! The cluster has no default StorageClass and {{ $name }}.storageClassName names none: its claim stays Pending, and no Job
  can start. Name a class, an existing claim ({{ $name }}.existingClaim) or a volume ({{ $name }}.volumeName).
{{- else if and $named (not $class) }}

! The cluster has no StorageClass {{ $named }} ({{ $name }}.storageClassName): unless somebody makes a volume of that
  class, the claim stays Pending, and no Job can start.
{{- else if and $class (not $perModel) (has "ReadWriteMany" $volume.accessModes) (has $class.provisioner (include "operator.singleNodeProvisioners" $ | fromYamlArray)) }}

! StorageClass {{ $class.metadata.name }} ({{ $class.provisioner }}) makes volumes for one node at a time, and {{ $name }}.accessModes
  asks for ReadWriteMany: its claim stays Pending, and no Job can start. Name a class for many nodes in
  {{ $name }}.storageClassName, or on a cluster of one node set {{ $name }}.accessModes={ReadWriteOnce}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* config.yaml as the operator reads it. Large numbers pass through int64: Helm's own are floats. */}}
{{- define "operator.config" -}}
namespace: {{ .Release.Namespace }}
deployment: {{ include "operator.fullname" . }}
images:
  evaluator: {{ include "operator.image" (list . "evaluator") | quote }}
  validator: {{ include "operator.image" (list . "validator") | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
imagePullSecrets: {{ toJson .Values.images.pullSecrets }}
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
  {{- toYaml .Values.jobs | nindent 2 }}
validator:
  {{- toYaml .Values.validator | nindent 2 }}
modelsPerHotkey: {{ int64 .Values.modelsPerHotkey }}
relistSeconds: {{ int64 .Values.relistSeconds }}
unschedulableSeconds: {{ int64 .Values.unschedulableSeconds }}
{{- end }}
