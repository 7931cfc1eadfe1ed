"""Write the CustomResourceDefinitions and docs/reference.md: `python -m bitagent_crds.generate ROOT`.

With `--check` it only compares. The definitions are written into the operator's chart, because a chart cannot read
files outside its own folder; that copy is the only one.
"""

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
CRD_FOLDER = "charts/bitagent-operator/files/crds"
"""Where the definitions are in the repository; nothing else may be there."""


def render(kind: type[Resource]) -> str:
    """Return the CustomResourceDefinition of `kind` as YAML, byte for byte what is committed."""
    header = f"# Generated from crds/bitagent_crds/{kind.crd.kind.lower()}.py by 'make crds'; edit that file.\n"
    return header + yaml.safe_dump(manifest(kind), sort_keys=False, width=120)


def files() -> dict[str, str]:
    """Return path in the repository and content of everything that follows from the models."""
    manifests = {f"{CRD_FOLDER}/{GROUP}_{kind.crd.plural}.yaml": render(kind) for kind in KINDS}
    return manifests | {"docs/reference.md": page(KINDS)}


def main(argv: list[str] | None = None) -> int:
    """Write or compare the files; return 1 when `--check` finds a difference or a definition of no kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="root of the repository")
    parser.add_argument("--check", action="store_true", help="only compare")
    args = parser.parse_args(argv)
    generated = {args.root / name: text for name, text in files().items()}
    obsolete = set((args.root / CRD_FOLDER).glob("*")) - set(generated)
    if args.check:
        stale = {path for path, text in generated.items() if not path.exists() or path.read_text() != text} | obsolete
        for path in sorted(stale):
            sys.stderr.write(f"{path.relative_to(args.root)}: differs from the models; run 'make crds' and commit\n")
        return 1 if stale else 0
    for path in obsolete:
        path.unlink()
    for path, text in generated.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
