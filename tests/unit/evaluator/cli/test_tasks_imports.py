"""`tasks build` as a whole process: what it must not import, since that takes longer than the work itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SIX = ("merge", "distractor-tools", "tool-shuffle", "function-mask", "parameter-mask", "default-value-mask")
HEAVY = (
    "numpy",
    "torch",
    "transformers",
    "tokenizers",
    "vllm",
    "pyarrow",
    "safetensors",
    "httpx",
    "requests",
    "jinja2",
)
CODE = """
import json, sys
from bitagent_evaluator.cli.app import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules}), len(sys.modules)]))
"""


def test_nothing_heavy_is_imported_for_alterations(tmp_path: Path) -> None:
    words = ["tasks", "build", "--bfcl", "simple_python", "--count", "300", "--out", str(tmp_path / "set"), "--quiet"]
    alterations = [word for name in SIX for word in ("--alter", name)]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words, *alterations], capture_output=True, check=True, text=True
    )
    code, imported, count = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert not set(HEAVY) & set(imported)
    assert count < 900, "each module takes about a millisecond"
