"""Write docs/decisions/README.md: the list of the decisions, by their titles.

usage: decisions_page.py ROOT [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path


def page(decisions: Path) -> str:
    """Return the page for a folder of decisions."""
    lines = [
        "# Decisions",
        "",
        "Why things are as they are, what was measured, and what would change it. Written by `make decisions`.",
        "",
    ]
    for path in sorted(decisions.glob("[0-9]*.md")):
        title = path.read_text().split("\n", 1)[0].removeprefix("# ")
        lines.append(f"- {path.name[:3]} [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def main(root: Path, *, check: bool) -> int:
    """Write the page, or return 1 if it is not current."""
    target = root / "docs" / "decisions" / "README.md"
    text = page(target.parent)
    if not check:
        target.write_text(text)
        return 0
    if target.is_file() and target.read_text() == text:
        return 0
    sys.stderr.write(f"{target} is not current: run 'make decisions' and commit\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), check="--check" in sys.argv))
