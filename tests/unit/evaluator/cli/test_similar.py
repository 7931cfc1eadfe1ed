"""`bitagent-eval similar`: relations of two models' weights, and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.cli.similar import Relation, main
from bitagent_evaluator.models.untrained import Changes


@pytest.mark.parametrize(
    ("first", "second", "relation"),
    [
        ("tiny-fc-250", "tiny-fc-250", Relation.SAME_WEIGHTS),
        ("tiny-fc-400", "tiny-fc-600", Relation.SAME_BASE),
        ("tiny-fc-1200", "tiny-fc-gptq", Relation.SAME_BASE),
        ("tiny-fc-250", "tiny-fc-1200", Relation.UNRELATED),
    ],
)
def test_relations(
    models: Path, capsys: pytest.CaptureFixture[str], first: str, second: str, relation: Relation
) -> None:
    assert main([str(models / first), str(models / second), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["relation"] == relation
    assert 0.0 <= printed["similarity"] <= 1.0
    assert main([str(models / first), str(models / second)]) == 0
    assert relation in capsys.readouterr().out


def test_another_form_of_the_same_function(
    checkpoint: Any, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = shutil.copytree(checkpoint.path, tmp_path / "original")

    def double(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Add 1 to the exponent of each bfloat16 of an up projection, and take it from the down projection."""
        content = bytearray(data)
        for name, change in (("up_proj", 0x80), ("down_proj", -0x80)):
            start, end = header[f"model.layers.0.mlp.{name}.weight"]["data_offsets"]
            for at in range(start, end, 2):
                word = int.from_bytes(content[at : at + 2], "little")
                if word & 0x7F80 > 0x80:
                    content[at : at + 2] = (word + change).to_bytes(2, "little")
        return header, bytes(content)

    checkpoint.header(double)
    assert main([str(original), str(checkpoint.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["relation"] == Relation.SAME_FUNCTION
    assert printed["weightsDigests"][0] != printed["weightsDigests"][1]


def test_a_model_of_another_kind_is_not_compared(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(checkpoint.path, checkpoint.path.with_name("other"))
    config = json.loads((checkpoint.path / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"architectures": ["OtherForCausalLM"]}))
    checkpoint.header(lambda header, data: (header, bytes(len(data))))
    assert main([str(other), str(checkpoint.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["relation"] == Relation.UNKNOWN


def test_a_directory_without_a_model_is_wrong_usage(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(models / "tiny-fc-250"), str(tmp_path)]) == 2
    assert "is not a directory with a model's weights" in capsys.readouterr().err


def test_damaged_weights_are_the_model_s_fault(checkpoint: Any, models: Path) -> None:
    (checkpoint.path / "model.safetensors").write_bytes(b"\xff" * 100)
    assert main([str(checkpoint.path), str(models / "tiny-fc-250")]) == 78


@pytest.mark.parametrize(
    ("found", "relation"),
    [
        (Changes(0.11, True, (1.1, None, 0.9, 1.3)), Relation.UNTRAINED_COPY),
        (Changes(0.11, True, (1.1, None, 0.9, 2.1)), Relation.SAME_BASE),
        (Changes(0.11, True, (1.1, None, None, 1.3)), Relation.SAME_BASE),
        (Changes(1.4, False, (1.1, None, 0.9, 1.3)), Relation.SAME_BASE),
        (None, Relation.SAME_BASE),
    ],
    ids=["added", "trained", "too few witnesses", "another order", "not compared"],
)
def test_among_other_trainings(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    found: Changes | None,
    relation: Relation,
) -> None:
    first, later, among = models / "tiny-fc-400", models / "tiny-fc-600", [models / "tiny-fc-1200"] * 4
    given: list[Any] = []
    monkeypatch.setattr("bitagent_evaluator.cli.similar.find_changes", lambda *paths: given.append(paths) or found)
    arguments = [str(first), str(later), "--among", *map(str, among)]
    assert main([*arguments, "--json"]) == 0
    assert given == [(first, later, among)]
    printed = json.loads(capsys.readouterr().out)
    assert printed["relation"] == relation
    if found is None:
        assert printed["changes"] is None
    else:
        assert (printed["changes"]["size"], printed["changes"]["aligned"]) == (found.size, found.aligned)
        assert [each["deviation"] for each in printed["changes"]["among"]] == list(found.deviations)
    assert main(arguments) == 0
    assert relation in capsys.readouterr().out


def test_without_other_models_no_change_is_looked_for(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(models / "tiny-fc-400"), str(models / "tiny-fc-600"), "--json"]) == 0
    assert "changes" not in json.loads(capsys.readouterr().out)
