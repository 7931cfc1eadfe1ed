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

{{/* Secrets and ConfigMaps that the values name and the namespace lacks. Helm keeps its releases in Secrets, so whoever
installs may read them. The operator's own pod needs pull secrets, too, in the namespace of the release. */}}
{{- define "operator.missingNotes" -}}
{{- $watched := include "operator.namespaces" . | fromJsonArray }}
{{- $ours := prepend $watched .Release.Namespace | uniq }}
{{- $named := list }}
{{- range include "operator.pullSecrets" . | fromJsonArray }}
{{- $named = append $named (list "Secret" . "images.pullSecrets" "no image that needs it can be pulled" $ours) }}
{{- end }}
{{- with .Values.hub.tokenSecretRef }}
{{- $named = append $named (list "Secret" .name "hub.tokenSecretRef" "fetch Jobs wait for it") }}
{{- end }}
{{- if .Values.archive.url }}
{{- $named = append $named (list "Secret" .Values.archive.secretName "archive.secretName" "nothing is archived") }}
{{- with .Values.archive.caConfigMap }}
{{- $named = append $named (list "ConfigMap" . "archive.caConfigMap" "nothing is archived") }}
{{- end }}
{{- end }}
{{- with .Values.caBundle.configMap }}
{{- $named = append $named (list "ConfigMap" . "caBundle.configMap" "fetch, task-set and archive Jobs and validators wait for it") }}
{{- end }}
{{- range $each := $named }}
{{- range $namespace := ternary $ours $watched (gt (len $each) 4) }}
{{- if not (lookup "v1" (index $each 0) $namespace (index $each 1)) }}

! {{ index $each 0 }} {{ index $each 1 }} ({{ index $each 2 }}) does not exist in namespace {{ $namespace }}: {{ index $each 3 }}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The three kinds, where this release does not install them. Discovery needs no rights. */}}
{{- define "operator.definitionNotes" -}}
{{- if not .Values.crds.install }}
{{- range $kind := tuple "MinerModel" "EvalRound" "Validator" }}
{{- if not ($.Capabilities.APIVersions.Has (printf "bitagent.io/v1alpha1/%s" $kind)) }}

! The cluster has no definition of {{ $kind }}, and this release does not install it (crds.install=false): the operator
  waits for it. Set crds.install=true, or apply files/crds of this chart.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Networks that the values contradict. */}}
{{- define "operator.networkNotes" -}}
{{- if not .Values.networkPolicy.enabled }}

! networkPolicy.enabled is false: pods that process miners' files can reach the network.
{{- else if and (or .Values.proxy.http .Values.proxy.https) (not .Values.networkPolicy.proxy) }}

! There is a proxy, and networkPolicy.proxy is empty: pods reach it only if it has a public address, at port 443.
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service) }}

! metrics.serviceMonitor needs metrics.service: nothing is scraped.
{{- end }}
{{- range $kind, $enabled := dict "PodMonitor" .Values.metrics.podMonitor.enabled "ServiceMonitor" .Values.metrics.serviceMonitor.enabled "PrometheusRule" .Values.metrics.prometheusRule.enabled }}
{{- if and $enabled (not $.Values.networkPolicy.metricsFrom) (ne $kind "PrometheusRule") }}

! {{ $kind }}: networkPolicy.metricsFrom is empty, so Prometheus cannot reach the pods.
{{- end }}
{{- end }}
{{- end }}
