{{/* The release's own name in front of everything it makes. */}}
{{- define "vision.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "vision.trainersNamespace" -}}
{{- .Values.trainers.namespace | default (printf "%s-trainers" .Release.Namespace) }}
{{- end }}

{{- define "vision.tag" -}}
{{- .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Call with (dict "root" $ "part" "gateway"). */}}
{{- define "vision.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "vision.labels" -}}
{{ include "vision.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "vision.gatewayUrl" -}}
{{- .Values.gateway.internalUrl | default (printf "http://%s-gateway.%s.svc:%v" (include "vision.name" .) .Release.Namespace .Values.gateway.service.port) }}
{{- end }}

{{- define "vision.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10000
runAsGroup: 10000
fsGroup: 10000
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "vision.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Migrations run while the gateway starts, one gateway after the other: hence a minute and more before it counts as dead. */}}
{{- define "vision.probes" -}}
startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2, failureThreshold: 90}
livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2}
{{- end }}

{{- define "vision.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Call with (dict "name" "REDIS_URL" "secret" "…" "key" "…"). */}}
{{- define "vision.secretVariable" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end }}

{{- define "vision.storageVariables" -}}
{{- $secret := .Values.secrets.storage }}
- {name: STORAGE_TYPE, value: {{ .Values.storage.type | quote }}}
- {name: STORAGE_BUCKET, value: {{ .Values.storage.bucket | quote }}}
- {name: S3_ENDPOINT, value: {{ .Values.storage.endpoint | quote }}}
- {name: S3_REGION, value: {{ .Values.storage.region | quote }}}
- {name: S3_FORCE_PATH_STYLE, value: {{ .Values.storage.forcePathStyle | quote }}}
{{ include "vision.secretVariable" (dict "name" "S3_ACCESS_KEY_ID" "secret" $secret.name "key" $secret.accessKeyIdKey) }}
{{ include "vision.secretVariable" (dict "name" "S3_SECRET_ACCESS_KEY" "secret" $secret.name "key" $secret.secretAccessKeyKey) }}
{{- end }}

{{/* What every service is told. */}}
{{- define "vision.commonVariables" -}}
- {name: HOST, value: "0.0.0.0"}
- {name: LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{ include "vision.secretVariable" (dict "name" "INTERNAL_TOKEN" "secret" .Values.secrets.platform.name "key" .Values.secrets.platform.internalTokenKey) }}
{{- end }}

{{- define "vision.plainVariables" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "vision.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
