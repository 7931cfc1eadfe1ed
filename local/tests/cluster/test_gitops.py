"""Flux and Argo CD name one release each, and the parts of Argo CD that tests start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitagent_local.cluster import gitops
from bitagent_local.cluster.gitops import ARGOCD, FLUX, FLUX_API_PATHS, FLUX_TYPES, ArgoCd


@pytest.mark.parametrize(
    ("module", "names"),
    [
        pytest.param(
            FLUX, ["github.com/fluxcd/kustomize-controller", "github.com/fluxcd/source-controller"], id="flux"
        ),
        pytest.param(ARGOCD, ["github.com/argoproj/argo-cd/v3"], id="argocd"),
        pytest.param(FLUX_TYPES, [path.rpartition("/")[0] for path in FLUX_API_PATHS], id="types of flux"),
    ],
)
def test_a_module_names_one_release(module: Path, names: list[str]) -> None:
    text = (module / "go.mod").read_text()
    for name in names:
        assert re.search(rf"^\s*{name} v\d+\.\d+\.\d+( // indirect)?$", text, re.MULTILINE), name
    assert (module / "go.sum").exists()


def test_redis_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []

    def unpack(packages: tuple[str, ...], *, work: Path) -> Path:
        unpacked.append(packages)
        (work / "files/usr/bin").mkdir(parents=True)
        (work / "files/usr/bin/redis-server").touch()
        return work / "files"

    monkeypatch.setattr(gitops, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(gitops, "unpack_packages", unpack)
    folder = gitops.ensure_redis()
    assert gitops.ensure_redis() == folder
    assert unpacked == [gitops.REDIS_PACKAGES]
    command = ArgoCd(tmp_path, tmp_path, folder).redis_server
    assert command[1].startswith(f"LD_LIBRARY_PATH={folder}/lib/")
    assert Path(command[2]).exists()
