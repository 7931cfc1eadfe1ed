"""What is evaluated of a model: its frozen fields, and where its files are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evaluation import Evaluation
from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.identity import cached_directory, frozen, not_admitted, replaced, submitted

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

VOLUME = {"volume": {"claimName": "models", "path": "some/dir"}}


def entry(make: Make, **spec: Any) -> ModelResult:
    """The entry of a model with these members of its spec, admitted."""
    raw = make.model_raw("a", fetched=True)
    raw["spec"] |= spec
    model = ModelObject.parse(raw)
    assert model.status.resolved is not None
    return ModelResult(model="a", **frozen(model, model.status.resolved, Evaluation()))


@pytest.mark.parametrize(
    ("spec", "repo", "directory"),
    [
        pytest.param({}, "org/a", "org/a/" + "a" * 40, id="hub"),
        pytest.param({"source": VOLUME}, "volume/models/some/dir", "volume/models/" + "a" * 40, id="volume"),
        pytest.param(
            {"source": {"huggingFace": {"repo": "volume/a", "revision": "main"}}},
            "volume/a",
            "volume/a/" + "a" * 40,
            id="an owner called volume",
        ),
    ],
)
def test_files_are_where_the_fetch_put_them(make: Make, spec: dict[str, Any], repo: str, directory: str) -> None:
    found = entry(make, **spec)
    assert (found.repo, cached_directory(found)) == (repo, directory)


def test_a_model_that_was_not_admitted_has_no_files(make: Make) -> None:
    with pytest.raises(ValueError, match="a has not been admitted"):
        cached_directory(ModelResult(model="a"))
    model = make.model("a", fetched=True)
    assert set(not_admitted(model)) == set(frozen_fields(make))
    again = ModelResult(model="a", **frozen_fields(make)).model_copy(update=not_admitted(model))
    assert again == ModelResult(model="a", **submitted(model))


def frozen_fields(make: Make) -> dict[str, object]:
    model = make.model("a", fetched=True)
    assert model.status.resolved is not None
    return frozen(model, model.status.resolved, Evaluation())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({}, {}, True, id="equal"),
        pytest.param({}, {"engine": {"dtype": "Auto"}}, True, id="a default that is written out"),
        pytest.param({}, {"promptFormat": "Bfcl"}, False, id="format"),
        pytest.param({}, {"engine": {"maxModelLength": 512}}, False, id="engine"),
        pytest.param({}, {"source": VOLUME}, True, id="the same files elsewhere"),
    ],
)
def test_models_share_an_evaluation_if_nothing_differs_that_decides_answers(
    make: Make, one: dict[str, Any], other: dict[str, Any], *, same: bool
) -> None:
    assert (entry(make, **one).evaluation_key == entry(make, **other).evaluation_key) == same


def test_an_object_is_known_by_its_uid(make: Make) -> None:
    found = entry(make)
    assert not replaced(found, make.model("a"))
    assert replaced(found, make.model("a", uid="another"))
    assert not replaced(ModelResult(model="a"), make.model("a", uid="another")), "unknown before admission"
