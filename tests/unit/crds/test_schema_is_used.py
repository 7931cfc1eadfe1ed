"""No field without an effect: each one of the contract is read or written by a program, by its name."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bitagent_crds.alterations import Alteration
from bitagent_crds.evaluation import Toleration
from bitagent_crds.generate import KINDS

ROOT = Path(__file__).parents[3]
PROGRAMS = ("operator", "validator", "evaluator", "kube")
WHOLE: dict[type[BaseModel], str] = {
    Alteration: "alterations/pipeline.py builds the member that is set, by its name",
    Toleration: "it goes into the pod as it is",
}
"""Models whose fields are not named by those who use them."""


def parts(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from parts(argument)


def contract() -> list[type[BaseModel]]:
    found: dict[type[BaseModel], None] = {}
    waiting: list[type[BaseModel]] = list(KINDS)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found[model] = None
            waiting += [part for field in model.model_fields.values() for part in parts(field.annotation)]
    return sorted(found, key=lambda model: model.__name__)


@pytest.fixture(scope="module")
def sources() -> set[str]:
    """The names in the programs: of attributes, and of arguments or members."""
    files = [path for package in PROGRAMS for path in (ROOT / package).rglob("*.py")]
    files += [path for name in ("memory.py", "admission.py") for path in (ROOT / "crds").rglob(name)]
    text = "\n".join(path.read_text() for path in files)
    return set(re.findall(r"\.(\w+)", text)) | set(re.findall(r"\b(\w+)=", text)) | set(re.findall(r'"(\w+)"', text))


@pytest.mark.parametrize("model", [m for m in contract() if m not in WHOLE], ids=lambda model: model.__name__)
def test_every_field_is_used(model: type[BaseModel], sources: set[str]) -> None:
    assert set(model.model_fields) - sources == set()


def test_an_unknown_name_would_be_found(sources: set[str]) -> None:
    assert "field_that_nothing_reads" not in sources
    assert {"parallelism", "gpu_resource_name"} <= sources
