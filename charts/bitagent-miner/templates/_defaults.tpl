{{/* Give each value that is missing its default, as after `helm upgrade --reuse-values` from a chart without it. Every
template begins with this; the first one changes .Values for all. */}}
{{- define "miner.defaulted" -}}
{{- if not (hasKey . "Defaulted") -}}
{{- range $path, $default := .Files.Get "files/defaults.yaml" | fromYaml -}}
{{- $parts := splitList "." $path -}}
{{- $section := $.Values -}}
{{- range initial $parts -}}
{{- if not (get $section .) -}}
{{- $_ := set $section . dict -}}
{{- end -}}
{{- $section = get $section . -}}
{{- end -}}
{{- if not (hasKey $section (last $parts)) -}}
{{- $_ := set $section (last $parts) $default -}}
{{- end -}}
{{- end -}}
{{- $_ := set . "Defaulted" true -}}
{{- end -}}
{{- end }}
