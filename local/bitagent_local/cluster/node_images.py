"""The two images that the node itself runs, made without any tool and imported into containerd directly.

Each holds one static binary: an OCI image archive is a tar of JSON files. They stay in the cache as all images do.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from bitagent_local.cluster.binaries import Binaries
from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node

REPOSITORY = "bitagent.local"
OCI = "application/vnd.oci.image"


def pause_image(binaries: Binaries) -> str:
    """Return the name of the sandbox image that belongs to these binaries."""
    return f"{REPOSITORY}/pause:{binaries.folder.name}"


def dns_image(binaries: Binaries) -> str:
    """Return the name of the CoreDNS image that belongs to these binaries."""
    return f"{REPOSITORY}/coredns:{binaries.folder.name}"


def import_missing(node: Node, binaries: Binaries) -> list[str]:
    """Make and import the images that containerd does not have; return their names.

    Raises ClusterError if containerd refuses one.
    """
    present = set(_run(node.ctr("images", "ls", "-q")).split())
    images = {
        pause_image(binaries): (binaries.pause, "65535:65535"),
        dns_image(binaries): (binaries.coredns, "65532:65532"),
    }
    missing = [name for name in images if name not in present]
    for name in missing:
        binary, user = images[name]
        with tempfile.TemporaryDirectory(dir=node.state) as scratch:
            archive = Path(scratch) / "image.tar"
            write_image(archive, name=name, binary=binary, user=user)
            _run(node.ctr("images", "import", str(archive)))
    return missing


def purge_containers(node: Node) -> list[str]:
    """Remove all containers and their files, from a containerd whose pods are dead; return their ids.

    Raises ClusterError if containerd does not answer, or a container cannot be removed.
    """
    containers = _run(node.ctr("containers", "ls", "-q")).split()
    tasks = _run(node.ctr("tasks", "ls", "-q")).split()
    if tasks:
        _run(node.ctr("tasks", "rm", "-f", *tasks))
    if containers:
        _run(node.ctr("containers", "rm", *containers))
    return containers


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(command[:6])} …` did not end within 60 s") from error
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(command[:6])} …` failed: {done.stderr.strip()[-800:]}")
    return done.stdout


def write_image(archive: Path, *, name: str, binary: Path, user: str) -> None:
    """Write an image for `ctr images import`: its entry point is the binary, run as `user` (numeric `uid:gid`)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        entry = tarfile.TarInfo(binary.name)
        content = binary.read_bytes()
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    blobs: dict[str, bytes] = {}
    described = _blob(blobs, f"{OCI}.layer.v1.tar", layer.getvalue())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": user},
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": _blob(blobs, f"{OCI}.config.v1+json", json.dumps(config).encode()),
        "layers": [described],
    }
    index = _blob(blobs, f"{OCI}.manifest.v1+json", json.dumps(manifest).encode())
    index["annotations"] = {"io.containerd.image.name": name}
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [index]}).encode(),
        **blobs,
    }
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _blob(blobs: dict[str, bytes], media_type: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[f"blobs/sha256/{digest}"] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
