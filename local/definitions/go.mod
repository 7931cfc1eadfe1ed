module bitagent.io/local/definitions

go 1.26.0

require (
	github.com/external-secrets/external-secrets v0.16.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
