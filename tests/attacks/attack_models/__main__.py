"""`python -m attack_models DIR [NAME ...]`: write attack models to folders of DIR."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attack_models.catalogue import ATTACKS
from attack_models.files import MODELS
from bitagent_crds.task_set import Task


def main() -> int:
    """Write the named models, or all; the tasks are those of the demo."""
    parser = argparse.ArgumentParser(prog="python -m attack_models", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(ATTACKS)}")
    options = parser.parse_args()
    if unknown := set(options.names) - ATTACKS.keys():
        parser.error(f"no attack {', '.join(sorted(unknown))}")
    tasks = [Task.model_validate_json(line) for line in (MODELS / "tasks.jsonl").read_text().splitlines()]
    for name in options.names or ATTACKS:
        ATTACKS[name].build(options.folder / name, tasks[:200])
        print(f"{options.folder / name}: {ATTACKS[name].place}, {ATTACKS[name].reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
