"""Write docs/formats.md: `python -m bitagent_evaluator.formats_page ROOT`. With `--check` it only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bitagent_evaluator.formats_page.page import PAGE, page


def main(argv: list[str] | None = None) -> int:
    """Write or compare the page; return 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="root of the repository")
    parser.add_argument("--check", action="store_true", help="only compare")
    args = parser.parse_args(argv)
    path, text = args.root / PAGE, page()
    if not args.check:
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    sys.stderr.write(f"{PAGE}: differs from the code; run 'make formats' and commit\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
