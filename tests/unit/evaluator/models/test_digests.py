"""Identities of a model: what decides its answers counts, and nothing else does."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.texts import digest_of
from bitagent_evaluator.models.digests import (
    copies_embeddings,
    directory_model_digest,
    weight_files_digest,
    weights_digest,
)
from bitagent_evaluator.models.preflight import check_directory


@pytest.fixture
def model(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "tiny-fc-250", tmp_path / "model"))


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
    ],
)
def test_model_digest_covers_what_decides_the_answers(model: Path, name: str) -> None:
    before = directory_model_digest(model)
    with (model / name).open("ab") as file:
        file.write(b" ")
    assert directory_model_digest(model) != before


@pytest.mark.parametrize("name", ["README.md", ".gitattributes", "training_args.bin", "model.safetensors.index.json"])
def test_model_digest_ignores_other_files(model: Path, name: str) -> None:
    before = directory_model_digest(model)
    (model / name).write_text("{}")
    assert directory_model_digest(model) == before


def test_check_reports_the_model_digest(model: Path) -> None:
    check = check_directory(model)
    assert check.facts is not None and check.facts.model_digest == directory_model_digest(model)


def digest(model: Any, folder: Path, **form: Any) -> str:
    return weights_digest(model.write(folder, **form))


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"metadata": {"format": "pt", "note": "mine"}}, id="metadata"),
        pytest.param({"padding": 8}, id="padded header"),
        pytest.param({"shards": 3}, id="shards"),
        pytest.param({"dtype": "F32"}, id="float32"),
        pytest.param({"dtype": "F16"}, id="float16"),
    ],
)
def test_the_form_of_storage_does_not_count(make_model: Any, tmp_path: Path, form: dict[str, Any]) -> None:
    model = make_model(1)
    assert digest(model, tmp_path / "a") == digest(model, tmp_path / "b", **form)


def with_head(model: Any) -> None:
    model.weights["lm_head.weight"] = model.weights["model.embed_tokens.weight"]


def with_foreign_head(model: Any) -> None:
    model.weights["lm_head.weight"] = model.weights["model.embed_tokens.weight"] * 2


def untied(model: Any) -> None:
    with_head(model)
    model.config["tie_word_embeddings"] = False


def with_buffers(model: Any) -> None:
    model.weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(8, np.float32)


def with_other_zeros(model: Any) -> None:
    for values in model.weights.values():
        values[np.abs(values) < 2.0**-25] = -0.0


def layers_exchanged(model: Any) -> None:
    """Other names for the same tensors."""
    for name in [name for name in model.weights if name.startswith("model.layers.0.")]:
        other = name.replace("layers.0.", "layers.3.")
        model.weights[name], model.weights[other] = model.weights[other], model.weights[name]


@pytest.mark.parametrize("change", [with_head, untied, with_buffers, with_other_zeros, layers_exchanged])
def test_what_is_no_other_weight_does_not_count(make_model: Any, tmp_path: Path, change: Any) -> None:
    model = make_model(1)
    before = digest(model, tmp_path / "a")
    change(model)
    assert digest(model, tmp_path / "b") == before


def test_biases_of_zeros_are_none(make_model: Any, tmp_path: Path) -> None:
    plain = make_model(1, "LlamaForCausalLM")
    biased = make_model(1, "LlamaForCausalLM", attention_bias=True)
    for name, values in biased.weights.items():
        biased.weights[name] = plain.weights.get(name, np.zeros_like(values))
    assert digest(plain, tmp_path / "a") == digest(biased, tmp_path / "b")


@pytest.mark.parametrize(
    "name", ["model.norm.weight", "model.layers.2.mlp.up_proj.weight", "model.embed_tokens.weight"]
)
def test_every_weight_counts(make_model: Any, tmp_path: Path, name: str) -> None:
    model = make_model(1)
    before = digest(model, tmp_path / "a")
    model.weights[name].flat[-1] *= 1.01
    assert digest(model, tmp_path / "b") != before


def test_a_head_beside_tied_embeddings_counts_because_the_engine_uses_it(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1)
    before = digest(model, tmp_path / "a")
    with_foreign_head(model)
    beside = digest(model, tmp_path / "b")
    model.config["tie_word_embeddings"] = False
    assert before != beside == digest(model, tmp_path / "c")
    assert not copies_embeddings(tmp_path / "b")
    with_head(model)
    assert copies_embeddings(model.write(tmp_path / "d"))


def test_a_head_of_its_own_counts(make_model: Any, tmp_path: Path) -> None:
    model = make_model(1, tie_word_embeddings=False)
    before = digest(model, tmp_path / "a")
    model.weights["lm_head.weight"].flat[0] += 1
    assert digest(model, tmp_path / "b") != before


def test_a_layer_that_is_there_twice_counts_twice(make_model: Any, tmp_path: Path) -> None:
    model, longer = make_model(1), make_model(1, num_hidden_layers=5)
    for name in longer.weights:
        longer.weights[name] = model.weights[name.replace("layers.4.", "layers.3.")]
    assert digest(model, tmp_path / "a") != digest(longer, tmp_path / "b")


@pytest.mark.parametrize("name", ["I32", "I8", "U8"])
def test_packed_integers_count_by_their_bytes(make_model: Any, tmp_path: Path, name: str) -> None:
    model = make_model(1)
    model.config.pop("architectures")  # Of an unknown kind of model every tensor counts.
    numbers = np.arange(32, dtype={"I32": np.int32, "I8": np.int8, "U8": np.uint8}[name])
    found = {
        digest(model, tmp_path / str(i), packed={"qweight": (name, values)})
        for i, values in enumerate((numbers, numbers.copy(), numbers[::-1]))
    }
    assert len(found) == 2


def test_large_tensors_are_read_in_parts(make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model(1).write(tmp_path / "a")
    before = weights_digest(folder)
    monkeypatch.setattr("bitagent_evaluator.models.values.PART_BYTES", 64)
    assert weights_digest(folder) == before


def test_results_of_earlier_versions_name_files(model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    line = f"model.safetensors {hashlib.sha256(content).hexdigest()}\n"
    assert weight_files_digest(model) == digest_of(line.encode())
