{{/* Base of names that are not the Validators' own. */}}
{{- define "validator.base" -}}
{{- .Values.name | default .Release.Name -}}
{{- end }}

{{- define "validator.labels" -}}
app.kubernetes.io/name: bitagent-validator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels with further ones, which do not replace them; arguments: root context, labels. */}}
{{- define "validator.labelsWith" -}}
{{- merge (include "validator.labels" (index . 0) | fromYaml) (index . 1 | default dict) | toYaml -}}
{{- end }}

{{/* Two maps as one, as JSON: maps are merged, anything else replaces, null removes. Arguments: base, changes. */}}
{{- define "validator.merged" -}}
{{- $out := deepCopy (index . 0) -}}
{{- range $key, $value := index . 1 -}}
{{- $old := get $out $key -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $out $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" $old) -}}
{{- $_ := set $out $key (include "validator.merged" (list $old $value) | fromJson) -}}
{{- else -}}
{{- $_ := set $out $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $out -}}
{{- end }}

{{/* Competitions of one of several validators, as JSON: each with the shared one of its id as a base.
Arguments: shared competitions, the validator's own. */}}
{{- define "validator.competitions" -}}
{{- $shared := dict -}}
{{- range index . 0 -}}
{{- $_ := set $shared .id . -}}
{{- end -}}
{{- $made := list -}}
{{- range index . 1 -}}
{{- $made = append $made (include "validator.merged" (list (get $shared .id | default dict) .) | fromJson) -}}
{{- end -}}
{{- toJson $made -}}
{{- end }}

{{/* All Validators of the release by name, {labels, annotations, spec} each, as JSON. */}}
{{- define "validator.all" -}}
{{- $own := list "name" "labels" "annotations" "models" "taskFiles" "global" "validators" "extraObjects" -}}
{{- $spec := dict -}}
{{- range $key, $value := .Values -}}
{{- if not (has $key $own) -}}
{{- $_ := set $spec $key $value -}}
{{- end -}}
{{- end -}}
{{- $all := dict -}}
{{- range $name, $changes := .Values.validators -}}
{{- if not (kindIs "invalid" $changes) -}}
{{- $made := include "validator.merged" (list $spec (omit $changes "labels" "annotations" "competitions")) | fromJson -}}
{{- with $changes.competitions -}}
{{- $_ := set $made "competitions" (include "validator.competitions" (list $spec.competitions .) | fromJsonArray) -}}
{{- end -}}
{{- $labels := merge (dict) ($changes.labels | default dict) ($.Values.labels | default dict) -}}
{{- $annotations := merge (dict) ($changes.annotations | default dict) ($.Values.annotations | default dict) -}}
{{- $_ := set $all $name (dict "labels" $labels "annotations" $annotations "spec" $made) -}}
{{- end -}}
{{- end -}}
{{- if not $all -}}
{{- $_ := set $all (include "validator.base" .) (dict "labels" (.Values.labels | default dict) "annotations" (.Values.annotations | default dict) "spec" $spec) -}}
{{- end -}}
{{- $hotkeys := dict -}}
{{- range $name, $each := $all -}}
{{- if gt (len $name) 24 -}}
{{- fail (printf "the validator's name %q has %d characters, at most 24 are possible: set `name`, or shorten its key in `validators`" $name (len $name)) -}}
{{- end -}}
{{- $hotkey := printf "Secret %s, key %s, on subnet %v" $each.spec.wallet.hotkeySecretRef.name $each.spec.wallet.hotkeySecretRef.key $each.spec.netuid -}}
{{- with get $hotkeys $hotkey -}}
{{- fail (printf "validators %s and %s have one hotkey (%s), and would overwrite each other's weights: name another Secret in `validators.%s.wallet.hotkeySecretRef`" . $name $hotkey $name) -}}
{{- end -}}
{{- $_ := set $hotkeys $hotkey $name -}}
{{- end -}}
{{- toJson $all -}}
{{- end }}

{{/* Keys of the release's ConfigMap of tasks that a competition names, as JSON. */}}
{{- define "validator.taskKeys" -}}
{{- $name := printf "%s-tasks" (include "validator.base" .) -}}
{{- $keys := list -}}
{{- range include "validator.all" . | fromJson -}}
{{- range .spec.competitions -}}
{{- range dig "round" "tasks" "sources" list . -}}
{{- with dig "jsonl" "configMap" dict . -}}
{{- if eq .name $name -}}
{{- $keys = append $keys .key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $keys | uniq | toJson -}}
{{- end }}

{{/* The files of the ConfigMap of tasks, as JSON: taskFiles, and what the cluster's has under a key that a competition
names and taskFiles lacks. So an upgrade without --set-file keeps them. `helm template` sees no cluster. */}}
{{- define "validator.taskFiles" -}}
{{- $files := deepCopy (.Values.taskFiles | default dict) -}}
{{- $missing := list -}}
{{- range include "validator.taskKeys" . | fromJsonArray -}}
{{- if not (hasKey $files .) -}}
{{- $missing = append $missing . -}}
{{- end -}}
{{- end -}}
{{- if $missing -}}
{{- $found := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-tasks" (include "validator.base" .)) -}}
{{- if eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $found) .Release.Name -}}
{{- range $missing -}}
{{- if hasKey ($found.data | default dict) . -}}
{{- $_ := set $files . (get $found.data .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end }}
