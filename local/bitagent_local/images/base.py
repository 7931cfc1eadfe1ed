"""The base image: Debian with Python, made from Debian's packages, so that no image registry is needed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from bitagent_local.cluster.host import SOURCES, ClusterError
from bitagent_local.images.spec import reference
from bitagent_local.images.store import Store

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libnuma1", "python3", "python3-venv")
DOCKERFILE = SOURCES / "images" / "base.Dockerfile"
WITHOUT = ("/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/doc/*")
HOOKS = (
    'ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/var/log/apt/*',
)


def bootstrap(archive: Path) -> list[str]:
    """Return the command that writes the root file system as a tar archive."""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in WITHOUT]
    options += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    options += [f"--customize-hook={hook}" for hook in HOOKS]
    return [
        *(
            "unshare",
            "--mount",
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
        ),
        *options,
        SUITE,
        str(archive),
    ]


def base_reference() -> str:
    """Return the name of the base image, a hash of its recipe; Debian's updates do not change it."""
    recipe = "\n".join([*bootstrap(Path("root.tar")), DOCKERFILE.read_text()])
    return reference("base", hashlib.sha256(recipe.encode()).hexdigest()[:16])


def ensure_base(store: Store, *, epoch: int | None = None) -> str:
    """Return the name of the base image, making it first if the store lacks it (about a minute).

    With `epoch` it is another image, whose files all have that time: the same packages give the same bytes.
    Raises ClusterError if Debian's packages cannot be fetched, or buildah fails.
    """
    name = at_time(base_reference(), epoch)
    if store.has(name):
        return name
    store.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.scratch) as context:
        environment = os.environ | ({} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)})
        command = bootstrap(Path(context) / "root.tar")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"mmdebstrap failed with status {done.returncode}: {done.stderr.strip()[-3000:]}")
        options = ["--quiet", "--format", "oci", *timestamp(epoch)]
        store.run("bud", *options, "--tag", name, "--file", str(DOCKERFILE), context)
    return name


def at_time(name: str, epoch: int | None) -> str:
    """Return the name of an image whose files have the time `epoch`; without one that of the image itself."""
    return name if epoch is None else f"{name}-{epoch}"


def timestamp(epoch: int | None) -> list[str]:
    """Return the options of a build whose files and history have the time `epoch`."""
    return [] if epoch is None else ["--timestamp", str(epoch)]
