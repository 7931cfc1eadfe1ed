"""Write `expected/*.json` again: `.venv/bin/python tests/golden/recorded/record.py [NAME...]`, by default all of them.

The files were written before the packages were restructured, and show that nothing changed. Record one again only if a
change of behaviour, of the contract or of a pinned package (bfcl-eval, the embedding model) is intended and named in
CHANGELOG.md. The diff of the file must show that change and nothing else. Never record to make a restructuring pass.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from recordings import SUBJECTS, subject

EXPECTED = Path(__file__).parent / "expected"


def main(names: list[str]) -> int:
    """Observe and write."""
    for name in names or SUBJECTS:
        with tempfile.TemporaryDirectory() as folder:
            found = subject(name).observe(Path(folder))
        (EXPECTED / f"{name}.json").write_text(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
