"""Dashboards: they follow from their builder, every query names metrics and labels that exist, the chart has them."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from tests.promql import exported, problems

from bitagent_local.demo.queries import boards, panels

if TYPE_CHECKING:
    from tests.unit.charts.conftest import Helm

BOARDS = boards()
QUERIES = [
    pytest.param(query["expr"], query.get("legendFormat", ""), id=f"{name}: {title} {query['refId']}")
    for name, board in BOARDS.items()
    for title, queries in panels(board)
    for query in queries
]


@pytest.fixture
def builder(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(root / "charts"))
    spec = importlib.util.spec_from_file_location("dashboards", root / "charts/dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("panels", None)


def test_they_follow_from_their_builder(builder: ModuleType) -> None:
    assert builder.main(["--check"]) == 0, "run make dashboards"
    assert set(BOARDS) == set(builder.BOARDS)


def test_check_finds_what_differs(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builder, "ROOT", tmp_path)
    monkeypatch.setattr(builder, "FOLDER", tmp_path / "dashboards")
    assert builder.main(["--check"]) == 1, "none is there"
    assert builder.main([]) == 0
    assert builder.main(["--check"]) == 0
    (tmp_path / "dashboards" / "older.json").write_text("{}")
    (tmp_path / "dashboards" / "fleet.json").write_text("{}")
    capsys.readouterr()
    assert builder.main(["--check"]) == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "dashboards/fleet.json",
        "dashboards/older.json",
    ]


@pytest.mark.parametrize(("expr", "legend"), QUERIES)
def test_a_query_names_what_is_exported(expr: str, legend: str) -> None:
    assert problems(expr, legend) == []


@pytest.mark.parametrize(
    ("expr", "legend", "wrong"),
    [
        pytest.param("sum(bitagent_rounds", "", "does not parse", id="parenthesis"),
        pytest.param("bitagent_round", "", "bitagent_round is not exported", id="name"),
        pytest.param('bitagent_rounds{state="x"}', "", "no label state", id="label"),
        pytest.param("bitagent_operator_reconciles", "", "not exported", id="counter without its suffix"),
        pytest.param("max by (state) (bitagent_rounds)", "", "aggregates by state", id="aggregation"),
        pytest.param("max by (phase) (bitagent_rounds)", "{{namespace}}", "legend names namespace", id="legend"),
        pytest.param("bitagent_rounds and on (kind) bitagent_rounds", "", "matches on kind", id="matching"),
        pytest.param("histogram_quantile(0.9, bitagent_rounds)", "{{le}}", "legend names le", id="quantile"),
        pytest.param("max(bitagent_rounds) / 2", "{{phase}}", "legend names phase", id="scalar"),
    ],
)
def test_what_does_not_exist_is_found(expr: str, legend: str, wrong: str) -> None:
    assert [each for each in problems(expr, legend) if wrong in each]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_variables_take_their_values_from_what_is_exported(name: str) -> None:
    variables = BOARDS[name]["templating"]["list"]
    named = [each["name"] for each in variables]
    assert named[:2] == ["datasource", "namespace"]
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(BOARDS[name])))
    assert used <= set(named), "every variable is defined"
    for each in variables[1:]:
        assert used >= {each["name"]}, "every variable is used"
        metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", each["query"]["query"]).groups()  # type: ignore[union-attr]
        assert label in exported()[metric]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    titles = [panel["title"] for panel in BOARDS[name]["panels"]]
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
    assert len(set(titles)) == len(titles)


def test_each_has_an_address_of_its_own() -> None:
    assert sorted(board["uid"] for board in BOARDS.values()) == ["bitagent-cluster", "bitagent-fleet", "bitagent-round"]


def test_the_chart_has_them_for_the_sidecar(helm_for: Callable[[str], Helm]) -> None:
    found: list[dict[str, Any]] = [
        each
        for each in helm_for("bitagent-operator")
        .render({"metrics": {"dashboards": {"enabled": True}}})
        .all("ConfigMap")
        if "grafana_dashboard" in each["metadata"]["labels"]
    ]
    assert {each["metadata"]["annotations"]["grafana_folder"] for each in found} == {"bitagent"}
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in found} == {"1"}
    files = {name: json.loads(text) for each in found for name, text in each["data"].items()}
    assert files == {f"bitagent-{name}.json": board for name, board in BOARDS.items()}


def test_labels_and_annotations_of_another_sidecar(helm_for: Callable[[str], Helm]) -> None:
    values = {"enabled": True, "labels": {"dashboards": "yes"}, "annotations": {"folder": "/tmp/x"}}
    found = helm_for("bitagent-operator").render({"metrics": {"dashboards": values}}).all("ConfigMap")
    chosen = [each["metadata"] for each in found if each["metadata"]["labels"].get("dashboards") == "yes"]
    assert len(chosen) == len(BOARDS)
    assert all(each["annotations"]["folder"] == "/tmp/x" for each in chosen)


def test_they_are_off_by_default(helm_for: Callable[[str], Helm]) -> None:
    assert not [
        o for o in helm_for("bitagent-operator").render().all("ConfigMap") if "dashboard" in o["metadata"]["name"]
    ]
