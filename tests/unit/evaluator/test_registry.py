"""Registries: names without imports, built-ins first, entry points beside them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from bitagent_evaluator import registry
from bitagent_evaluator.answers.answer import SYNTAXES
from bitagent_evaluator.formats.chat import FORMATS
from bitagent_evaluator.registry import Registry, UnknownName
from bitagent_evaluator.scoring.scorer import SCORERS
from bitagent_evaluator.tasks.source import SOURCES

POINTS = EntryPoints(
    [
        EntryPoint(name="theirs", value="json:loads", group="test.things"),
        EntryPoint(name="ours", value="json:dumps", group="test.things"),
        EntryPoint(name="elsewhere", value="json:dumps", group="test.others"),
    ]
)


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(registry, "entry_points", lambda **select: POINTS.select(**select))
    return Registry(what="thing", group="test.things", builtin={"ours": "math:sqrt", "broken": "no_such_module:x"})


def test_names_lists_all_and_imports_nothing(things: Registry) -> None:
    assert things.names() == ["broken", "ours", "theirs"]


@pytest.mark.parametrize(("name", "loaded"), [("ours", "sqrt"), ("theirs", "loads")])
def test_load(things: Registry, name: str, loaded: str) -> None:
    assert things.load(name).__name__ == loaded


def test_an_unknown_name_lists_the_known_ones(things: Registry) -> None:
    with pytest.raises(UnknownName, match="no thing 'other'; there are: broken, ours, theirs"):
        things.load("other")


@pytest.mark.parametrize("known", [SYNTAXES, FORMATS, SCORERS, SOURCES], ids=lambda known: known.what)
def test_every_built_in_can_be_loaded(known: Registry) -> None:
    loaded: list[Any] = [known.load(name) for name in known.builtin]
    assert len(loaded) == len(known.names())
