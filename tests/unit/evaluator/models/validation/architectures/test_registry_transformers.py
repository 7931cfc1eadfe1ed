"""The tensors that each architecture calls for are those that the class of transformers saves, names and shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.models.validation.architectures.families import VARIANTS, stated_config

from bitagent_evaluator.models.validation.architectures import ARCHITECTURES
from bitagent_evaluator.models.validation.config import check_windows, reduce_config

pytestmark = pytest.mark.engine


def saved(config: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The configuration, and names and shapes of the tensors, of a model of random numbers that transformers saves."""
    import transformers
    from safetensors import safe_open

    members = {key: value for key, value in config.items() if key not in ("architectures", "model_type")}
    made = transformers.AutoConfig.for_model(config["model_type"], **members)
    getattr(transformers, config["architectures"][0])(made).save_pretrained(folder)
    with safe_open(folder / "model.safetensors", "np") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    return json.loads((folder / "config.json").read_text()), shapes


@pytest.mark.parametrize(("name", "changes"), VARIANTS.values(), ids=VARIANTS)
def test_tensors_are_those_that_transformers_saves(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    architecture = ARCHITECTURES[name]
    config = stated_config(architecture, changes)
    written, shapes = saved(config, tmp_path)
    for given in (config, written):  # As people write it, and as transformers completes it.
        reduced = reduce_config(given, architecture)
        check_windows(reduced, architecture)
        expected = architecture.expected_tensors(reduced)
        assert dict(expected.required) == shapes
        assert expected.linear < expected.required.keys()


def test_every_architecture_is_compared() -> None:
    assert {name for name, _ in VARIANTS.values()} == ARCHITECTURES.keys()
