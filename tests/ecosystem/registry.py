"""A registry of OCI artifacts beside the tests: Debian's docker-registry, which `make toolchain` installs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.ecosystem.programs import listens, running, until

from bitagent_local.cluster.ports import free_ports


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Serve a registry over plain HTTP until left; its address."""
    program = shutil.which("docker-registry")
    assert program is not None, "there is no docker-registry: run 'make toolchain'"
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    settings = {"version": 0.1, "storage": {"filesystem": {"rootdirectory": str(folder)}}, "http": {"addr": address}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    log = folder / "log"
    with running([program, "serve", str(folder / "config.yaml")], log=log, environment=os.environ):
        until(lambda: listens(port), "the registry", log=log, seconds=30)
        yield address
