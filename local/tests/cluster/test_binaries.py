"""Releases that binaries report, and the key of a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.binaries import MODULE, content_key, go_release, linker_flags
from bitagent_local.cluster.host import ClusterError


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19.8 linux/amd64", (1, 19)),
        ("go version devel", (0, 0)),
        ("", (0, 0)),
    ],
    ids=str,
)
def test_go_release(output: str, expected: tuple[int, int]) -> None:
    assert go_release(output) == expected


def test_binaries_name_the_release_in_go_mod() -> None:
    flags = linker_flags("require (\n\thelm.sh/helm/v3 v3.20.2 // indirect\n\tk8s.io/kubernetes v1.35.4\n)\n")
    assert "-X k8s.io/component-base/version.gitVersion=v1.35.4" in flags
    assert "version.gitMinor=35" in flags
    assert "chartutil.k8sVersionMinor=35" in flags
    assert "-X helm.sh/helm/v3/internal/version.version=v3.20.2" in flags
    with pytest.raises(ClusterError, match="requires no k8s"):
        linker_flags("require example.org/kubernetes v1.0.0")


def test_go_mod_names_one_release_everywhere() -> None:
    text = (MODULE / "go.mod").read_text()
    release_ = linker_flags(text).partition("gitVersion=v1.")[2].partition(" ")[0]
    staged = [line.split() for line in text.splitlines() if line.startswith("\tk8s.io/") and "=>" in line]
    assert staged
    assert {line[-1] for line in staged} == {f"v0.{release_}"}


def test_the_key_of_a_build_covers_sources_and_tools(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x")
    (tmp_path / "go.sum").write_text("")
    (tmp_path / "main.go").write_text("package main")
    keys = [content_key(tmp_path, tools="go1"), content_key(tmp_path, tools="go2")]
    (tmp_path / "main.go").write_text("package main //")
    keys.append(content_key(tmp_path, tools="go1"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.go").write_text("package sub")
    keys.append(content_key(tmp_path, tools="go1"))
    assert len(set(keys)) == len(keys)
    (tmp_path / "README.md").write_text("not a source")
    assert content_key(tmp_path, tools="go1") == keys[-1]
