"""The version of a release: `project.version` of pyproject.toml. Charts repeat it, because Helm reads them alone."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def version(root: Path = ROOT) -> str:
    """Return the version of everything."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def charts(root: Path = ROOT) -> list[Path]:
    """Return the folders of the charts."""
    return sorted(path.parent for path in (root / "charts").glob("*/Chart.yaml"))


def differences(root: Path = ROOT) -> Iterator[str]:
    """Yield what repeats another version."""
    expected = version(root)
    for chart in charts(root):
        written = yaml.safe_load((chart / "Chart.yaml").read_text())
        for member in ("version", "appVersion"):
            if str(written.get(member)) != expected:
                yield f"{chart.relative_to(root)}/Chart.yaml: {member} is {written.get(member)}, not {expected}"
