"""The table of sources: a reader for every member of the contract, and sources that cannot be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from bitagent_crds.schema import Model
from bitagent_crds.tasks import TaskSource
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources import SOURCE_READERS, open_source

MEMBERS = {
    field.alias or name: kind
    for name, field in TaskSource.model_fields.items()
    for kind in get_args(field.annotation)
    if isinstance(kind, type) and issubclass(kind, Model)
}


def test_every_member_of_the_contract_has_a_row() -> None:
    assert SOURCE_READERS.keys() == set(MEMBERS.values())


@pytest.mark.parametrize("name", MEMBERS)
def test_the_guide_has_a_row_for_every_source(name: str) -> None:
    guide = Path(__file__).parents[5] / "docs" / "task-sets.md"
    assert f"\n| `{name}` |" in guide.read_text()


SOURCES: dict[str, dict[str, Any]] = {
    "bfcl": {"categories": ["multiple"]},
    "jsonl": {"configMap": {"name": "c", "key": "k"}},
    "huggingFace": {"repo": "acme/calls"},
    "stream": {"url": "http://127.0.0.1:1/s.jsonl"},
}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_reader_has_the_name_and_the_parameters_of_its_member(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    reader = open_source(0, TaskSource.model_validate({name: SOURCES[name]}), tmp_path / "file")
    assert reader.name == name
    assert SOURCES[name].items() <= reader.parameters.items()
    assert "rows" not in reader.parameters
    assert reader.skipped == {}


@pytest.mark.parametrize("names", [[], ["bfcl", "jsonl"]], ids=["none", "two"])
def test_exactly_one_member_must_be_set(names: list[str]) -> None:
    spec = TaskSource.model_validate({name: SOURCES[name] for name in names})
    with pytest.raises(
        TaskSetError, match=r"tasks.sources\[3\]: exactly one of bfcl, jsonl, huggingFace, stream must be"
    ):
        open_source(3, spec, None)


@pytest.mark.parametrize(
    ("file", "message"), [("gone.jsonl", "gone.jsonl: No such file"), (None, "its file was not given")]
)
def test_an_error_names_the_source(tmp_path: Path, file: str | None, message: str) -> None:
    spec = TaskSource.model_validate({"jsonl": SOURCES["jsonl"]})
    with pytest.raises(TaskSetError, match=rf"tasks.sources\[1\] \(jsonl\): .*{message}"):
        open_source(1, spec, None if file is None else tmp_path / file)
