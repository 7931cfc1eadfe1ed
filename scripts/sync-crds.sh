#!/usr/bin/env bash
# Writes what the charts take from crds/ and from their own values: copies of the definitions, a schema, tables. usage: scripts/sync-crds.sh [--check]
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python charts/sync.py "$@"
