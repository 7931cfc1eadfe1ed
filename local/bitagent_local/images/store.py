"""Calls of buildah, with a store in the cache that is separate from any other on the machine."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from bitagent_local.cluster.host import ClusterError


class Store:
    """A store of layers and images below the cache folder."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "buildah"

    @property
    def scratch(self) -> Path:
        """A folder for large temporary files, on the same disk."""
        return self.folder / "tmp"

    def run(self, *arguments: str, enter: Sequence[str] = (), show: bool = False) -> str:
        """Run buildah and return its output; `enter` is a prefix such as a node's `enter`.

        Mounts are made in a namespace of their own, which ends with the command. With `show`, output goes to the
        terminal.

        Raises ClusterError if buildah fails, or is not installed.
        """
        command = ["unshare", "--mount", *enter, "buildah", *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment(),
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=not show,
            )
        except FileNotFoundError as error:
            raise ClusterError(f"cannot run `{error.filename}`: is this Linux with util-linux?") from error
        if done.returncode != 0:
            why = "its output is above" if show else done.stderr.strip()[-3000:]
            raise ClusterError(f"`buildah {' '.join(arguments)}` failed with status {done.returncode}: {why}")
        return done.stdout or ""

    def has(self, reference: str) -> bool:
        """Whether the store has an image of that name. Raises ClusterError if buildah fails."""
        return reference in self.run("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}").split()

    def _environment(self) -> dict[str, str]:
        self.scratch.mkdir(parents=True, exist_ok=True)
        config = self.folder / "storage.conf"
        layers, run = self.folder / "layers", self.folder / "run"
        text = f'[storage]\ndriver = "overlay"\ngraphroot = "{layers}"\nrunroot = "{run}"\n'
        if not config.exists() or config.read_text() != text:
            # As a whole: a buildah that another process has started must not read half of it.
            new = self.scratch / f"storage.conf.{os.getpid()}.{threading.get_ident()}"
            new.write_text(text)
            new.replace(config)
        return {**os.environ, "CONTAINERS_STORAGE_CONF": str(config), "TMPDIR": str(self.scratch)}
