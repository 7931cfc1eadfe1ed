"""Writes the CustomResourceDefinitions and the field reference: `python -m bitagent_crds.generate ROOT` (`--check` only compares)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.reference import page
from bitagent_crds.schema import GROUP, Resource, manifest
from bitagent_crds.validator import Validator

KINDS: tuple[type[Resource], ...] = (MinerModel, EvalRound, Validator)


def render(kind: type[Resource]) -> str:
    """The CustomResourceDefinition of `kind` as YAML, byte for byte what is checked in."""
    header = f"# Generated from crds/bitagent_crds/{kind.crd.kind.lower()}.py by 'make crds'; edit that file.\n"
    return header + yaml.safe_dump(manifest(kind), sort_keys=False, width=120)


def files() -> dict[str, str]:
    """Path in the repository to content, for everything that follows from the models."""
    manifests = {f"crds/{GROUP}_{kind.crd.plural}.yaml": render(kind) for kind in KINDS}
    return manifests | {"docs/reference.md": page(KINDS)}


def main(argv: list[str] | None = None) -> int:
    """Write or compare the files; returns 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="root of the repository")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args(argv)
    stale = []
    for name, text in files().items():
        path: Path = args.root / name
        if args.check:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: differs from the models; run 'make crds' and commit\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
