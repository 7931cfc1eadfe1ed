"""The inputs of an image, and the hash over all of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bitagent_local.cluster.host import ClusterError

REGISTRY = "localhost:5000"
EPOCH = 1_577_836_800
"""Modification time of every file in a build context, 2020-01-01: a layer depends on contents alone."""


@dataclass(frozen=True)
class ImageSpec:
    """One image to build."""

    name: str
    dockerfile: Path
    root: Path
    """Folder that `paths` are relative to."""
    paths: tuple[str, ...]
    """Files and folders of the build context."""
    args: Mapping[str, str] = field(default_factory=dict)
    """Build arguments other than BASE."""


def reference(name: str, key: str) -> str:
    """Return the full name of an image in the node's registry."""
    return f"{REGISTRY}/bitagent/{name}:{key}"


def files(spec: ImageSpec) -> Iterator[Path]:
    """Yield all files of the context in a fixed order, without Python's caches.

    Raises ClusterError if a path does not exist.
    """
    for path in (spec.root / relative for relative in spec.paths):
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
            yield from found
        elif path.is_file():
            yield path
        else:
            raise ClusterError(f"image {spec.name}: {path} is in its context, but does not exist")


def content_key(spec: ImageSpec, *, base: str) -> str:
    """Return the tag of an image: 16 hexadecimal digits over Dockerfile, context, arguments and base image.

    Raises ClusterError if the Dockerfile or a path of the context does not exist.
    """
    if not spec.dockerfile.is_file():
        raise ClusterError(f"image {spec.name}: there is no Dockerfile {spec.dockerfile}")
    digest = hashlib.sha256()
    facts = [base, *(f"{key}={value}" for key, value in sorted(spec.args.items())), spec.dockerfile.read_text()]
    for fact in facts:
        digest.update(f"{len(fact)}:{fact}".encode())
    for path in files(spec):
        content = path.read_bytes()
        executable = os.access(path, os.X_OK)
        digest.update(f"{path.relative_to(spec.root)}\0{executable}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def stage(spec: ImageSpec, folder: Path) -> None:
    """Copy the context into an empty folder for the build.

    Raises ClusterError if a path of the context does not exist.
    """
    for path in files(spec):
        target = folder / path.relative_to(spec.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    for each in [folder, *folder.rglob("*")]:
        os.utime(each, (EPOCH, EPOCH))
