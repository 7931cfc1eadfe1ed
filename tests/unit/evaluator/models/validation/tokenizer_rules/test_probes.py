"""A tokenizer is tried in a sandbox: what cannot be read, crashes or rewrites is the model's fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.tokenizer_rules.probes import PROBES, probe_tokenizer
from bitagent_evaluator.models.validation.validate import validate_directory

if TYPE_CHECKING:
    from tests.unit.evaluator.models.validation.tokenizer_rules.conftest import Kit

FAULTS: dict[str, Any] = {
    "cannot be read": {"model": {"type": "Magic"}},
    "crashes": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    "pattern of another dialect": {"decoder": {"type": "Replace", "pattern": {"Regex": "(?s).*"}, "content": ""}},
    "loses white space": {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    "rewrites": {"normalizer": {"type": "Replace", "pattern": {"String": "area"}, "content": "x"}},
    "rewrites answers": {"decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "x"}},
}


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_the_models(kit: type[Kit], changes: Any) -> None:
    content = kit.byte_level_bpe() | changes
    refusal = probe_tokenizer({"tokenizer.json": json.dumps(content).encode()})
    assert refusal is not None and refusal[0] is Reason.BAD_TOKENIZER and refusal[1]


def test_a_sound_tokenizer_passes(kit: type[Kit]) -> None:
    assert probe_tokenizer({"tokenizer.json": json.dumps(kit.byte_level_bpe()).encode()}) is None


def test_a_model_is_validated_with_its_tokenizer_tried(checkpoint: Any) -> None:
    """Allowed by the rules, and refused by its texts."""
    sound = validate_directory(checkpoint.path, max_bytes=1 << 30)
    assert sound.refusal is None and sound.tokenizer_digest is not None
    checkpoint.edit("tokenizer.json", lambda content: content | {"pre_tokenizer": None})
    refused = validate_directory(checkpoint.path, max_bytes=1 << 30)
    assert refused.refusal is not None and refused.refusal[0] is Reason.BAD_TOKENIZER
    assert refused.config is None and refused.tokenizer_digest is not None


def test_the_trained_models_are_admitted(kit: type[Kit], models: Path) -> None:
    refusals = {path.parent.name: kit.refusal(json.loads(path.read_text())) for path in models.glob("*/tokenizer.json")}
    assert len(refusals) >= 7 and set(refusals.values()) == {None}


def test_probes_have_all_letters_and_kinds_of_text() -> None:
    joined = "".join(PROBES)
    assert all(chr(code) in joined for code in range(32, 127))
    assert all(sign in joined for sign in ("\n", "\t", "\u5929", "\U0001f600"))
