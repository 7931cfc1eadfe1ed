//go:build generate

// Package types names the packages that definitions are generated from, so that `go mod tidy` keeps their modules.
package types

import (
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/image-automation-controller/api/v1"
	_ "github.com/fluxcd/image-reflector-controller/api/v1"
)
