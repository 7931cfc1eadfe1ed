"""The images that `images/images.yaml` lists. The only module of this folder that needs a package (PyYAML)."""

from __future__ import annotations

from pathlib import Path

import yaml

from bitagent_local.cluster.host import SOURCES, ClusterError
from bitagent_local.images.spec import ImageSpec

ROOT = SOURCES.parent


def catalogue(root: Path = ROOT) -> dict[str, ImageSpec]:
    """Return the listed images by name."""
    listed = yaml.safe_load((root / "images" / "images.yaml").read_text())
    return {
        name: ImageSpec(
            name=name,
            dockerfile=root / entry["dockerfile"],
            root=root,
            paths=tuple(entry["context"]),
            args={key: str(value) for key, value in (entry.get("args") or {}).items()},
        )
        for name, entry in listed.items()
    }


def spec_of(name: str, root: Path = ROOT) -> ImageSpec:
    """Return one listed image. Raises ClusterError if none has this name."""
    known = catalogue(root)
    if name not in known:
        raise ClusterError(f"images/images.yaml lists no image {name!r}, only {', '.join(sorted(known))}")
    return known[name]
