"""Software bills of materials in CycloneDX 1.6, one for each lock in requirements/. Pure.

A lock has every distribution that an image or an environment installs, with the digests that pip demands: nothing else
has to be looked up, and nothing is installed.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_FOLDER = re.compile(r"^\./(\S+)")
_DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""The namespace of URLs, of RFC 9562."""


@dataclass(frozen=True)
class Package:
    """One distribution of a lock."""

    name: str
    version: str
    digests: tuple[str, ...]
    """SHA-256 of each file that may be installed."""
    marker: str = ""
    """Where it is installed, as an environment marker."""


def packages(lock: str) -> Iterator[Package]:
    """Yield what a lock pins, in its order. Raises ValueError for a line that pins nothing."""
    for entry in re.sub(r"\\\n", " ", lock).splitlines():
        text = entry.strip()
        if not text or text.startswith("#"):
            continue
        marker = text.partition(" ; ")[2].partition(" --hash")[0].strip()
        if folder := _FOLDER.match(text):  # a package of this repository, whose version is that of what it stands for
            yield Package(Path(folder[1]).name.replace("_", "-"), "", (), marker)
        elif pinned := _PINNED.match(text):
            yield Package(pinned[1].lower(), pinned[2], tuple(_DIGEST.findall(text)), marker)
        else:
            raise ValueError(f"not a pinned distribution: {text[:100]!r}")


def document(lock: str, *, name: str, version: str, epoch: int) -> str:
    """Return the bill of a lock, as JSON; `name` is that of the lock, `version` that of the release."""
    listed = sorted(packages(lock), key=lambda each: (each.name, each.version))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'bitagent {version} {name} {lock}')}",
        "version": 1,
        "metadata": {
            "timestamp": f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "component": {
                "type": "application",
                "bom-ref": "bitagent",
                "name": f"bitagent-{name}",
                "version": version,
                "purl": f"pkg:pypi/bitagent@{version}",
                "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": [_component(each) for each in listed],
        "dependencies": [{"ref": "bitagent", "dependsOn": [_reference(each) for each in listed]}],
    }
    return json.dumps(bill, indent=1) + "\n"


def _reference(package: Package) -> str:
    return f"pkg:pypi/{package.name}" + (f"@{package.version}" if package.version else "")


def _component(package: Package) -> dict[str, object]:
    found: dict[str, object] = {"type": "library", "bom-ref": _reference(package), "name": package.name}
    if package.version:
        found |= {"version": package.version, "purl": _reference(package)}
    if package.digests:
        found["hashes"] = [{"alg": "SHA-256", "content": digest} for digest in package.digests]
    if package.marker:
        found["properties"] = [{"name": "bitagent:marker", "value": package.marker}]
    return found
