#!/usr/bin/env bash
# Makes .venv from the locks, with the project and the local world installed editable. Does nothing if it is current.
set -euo pipefail
cd "$(dirname "$0")/.."
key=$(cat requirements/dev.txt requirements/build.txt pyproject.toml local/pyproject.toml evaluator/vllm_on_cpu/*.{py,toml} | sha256sum | cut -c1-64)
[ "$(cat .venv/.key 2>/dev/null)" = "$key" ] && exit 0
uv=$(scripts/uv.sh)
python=$(command -v python3.11) || { echo "env.sh: python3.11 is needed (Debian 12: apt-get install python3 python3-venv)" >&2; exit 1; }
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
rm -f .venv/.key
# Bytecode at once: importing vLLM takes 6 s with it and 80 s without.
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python requirements/dev.txt
"$uv" pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python -e . -e ./local
echo "$key" > .venv/.key
