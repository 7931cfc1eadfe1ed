#!/usr/bin/env bash
# Prints the path of uv, after installing the pinned version into the cache folder if it is missing.
set -euo pipefail
version=0.13.9
home=${BITAGENT_CACHE:-$HOME/.cache/bitagent}/uv-$version
if [ ! -x "$home/bin/uv" ]; then
  python=$(command -v python3.11 || command -v python3)
  rm -rf "$home"
  "$python" -m venv "$home" >&2 || { echo "uv.sh: 'python3 -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
  "$home/bin/pip" install --quiet --disable-pip-version-check "uv==$version" >&2
fi
echo "$home/bin/uv"
