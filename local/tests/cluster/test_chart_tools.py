"""Programs and definitions that the charts are tested with are of modules that name one release each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitagent_local.cluster import chart_tools


@pytest.mark.parametrize(
    ("module", "path"),
    [
        (chart_tools.HELM4, "helm.sh/helm/v4"),
        (chart_tools.SOPS, "github.com/getsops/sops/v3"),
        (chart_tools.SOPS, "filippo.io/age"),
        (chart_tools.DEFINITIONS, "github.com/prometheus-operator/prometheus-operator"),
        (chart_tools.DEFINITIONS, "github.com/external-secrets/external-secrets"),
    ],
)
def test_a_module_names_one_release(module: Path, path: str) -> None:
    (release,) = re.findall(rf"\s{re.escape(path)} (v\S+)", (module / "go.mod").read_text())
    assert f"{path} {release} h1:" in (module / "go.sum").read_text()


def test_programs_are_built_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, tuple[str, ...]]] = []

    def ensure(module: Path, *packages: str) -> Path:
        asked.append((module, packages))
        return tmp_path

    monkeypatch.setattr(chart_tools, "ensure_programs", ensure)
    assert (chart_tools.ensure_helm4(), chart_tools.ensure_sops()) == (tmp_path / "helm", tmp_path)
    assert [(module, [package.rpartition("/")[2] for package in packages]) for module, packages in asked] == [
        (chart_tools.HELM4, ["helm"]),
        (chart_tools.SOPS, ["sops", "age-keygen"]),
    ]


def test_definitions_are_files_of_their_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_tools, "module_folder", lambda module, path: tmp_path / path)
    found = [*chart_tools.monitoring_definitions(), chart_tools.external_secrets_definition()]
    names = [path.stem.rpartition("_")[2] for path in found]
    assert names == ["podmonitors", "prometheusrules", "servicemonitors", "externalsecrets"]
