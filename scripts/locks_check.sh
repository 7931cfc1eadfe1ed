#!/usr/bin/env bash
# Resolves every lock for an empty Python 3.11 against the index as it is now, without downloading or installing: a file
# that was withdrawn or replaced is found before an image has to be built. Takes a minute; .ci/weekly runs it.
# usage: scripts/locks_check.sh [FILE...]     default: every file in requirements/
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(scripts/uv.sh)
python=$(command -v python3.11) || { echo "locks_check.sh: python3.11 is needed" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ $# -gt 0 ] || set -- requirements/*.txt
bad=0
for lock in "$@"; do
  grep -v '^\./' "$lock" > "$scratch/locked.txt" # our own package, which images build apart: it has no hash
  # Without dependencies, as images install them: a lock has them all.
  if "$uv" pip install --dry-run --no-cache --require-hashes --no-deps --python "$python" --target "$scratch/target" -r "$scratch/locked.txt" > "$scratch/log" 2>&1; then
    echo "$lock: $(grep -c '^ + ' "$scratch/log") packages can be installed"
  else
    bad=1
    echo "$lock cannot be installed from clean; run 'make lock' and commit:" >&2
    cat "$scratch/log" >&2
  fi
done
exit $bad
