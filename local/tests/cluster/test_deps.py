"""Missing Debian packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster import deps
from bitagent_local.cluster.host import ClusterError


def test_missing_packages_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bitagent_local.cluster.deps.shutil.which",
        lambda program, path: None if program in ("ctr", "containerd") else program,
    )
    monkeypatch.setattr(deps, "LIBRARIES", {})
    assert deps.missing_packages() == ["containerd"]
    with pytest.raises(ClusterError, match="apt-get install -y --no-install-recommends containerd"):
        deps.require_packages()


def test_a_missing_library_is_a_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, gone = tmp_path / "libhere.so.1", tmp_path / "libgone.so.1"
    here.touch()
    monkeypatch.setattr("bitagent_local.cluster.deps.shutil.which", lambda program, path: program)
    monkeypatch.setattr(deps, "LIBRARIES", {str(here): "libhere1", str(gone): "libgone1"})
    assert deps.missing_packages() == ["libgone1"]
