"""A round's conditions of admission, applied by `run` and `plan` to models that are here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.cli.test_plan import a_round, option, planned

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_evaluator.cli.admission import admission_of, refusal_of
from bitagent_evaluator.cli.run import _check_admission, _Setup
from bitagent_evaluator.cli.run_arguments import run_parser
from bitagent_evaluator.cli.run_models import LocalModel
from bitagent_evaluator.support.faults import ModelFault

RUN = RunSpec(repo="m", task_set_digest="sha256:" + "1" * 64, max_tokens=64, max_prompt_tokens=1000)
RULES: dict[str, tuple[dict[str, Any], Reason | None]] = {
    "none": ({}, None),
    "kept": ({"maxParameters": 10**9, "architectures": ["Qwen2ForCausalLM"], "requireChatTemplate": True}, None),
    "parameters": ({"maxParameters": 1000}, Reason.TOO_MANY_PARAMETERS),
    "size": ({"maxRepositoryBytes": 1000}, Reason.REPOSITORY_TOO_LARGE),
    "licence": ({"licenses": ["mit"]}, Reason.LICENSE_NOT_ALLOWED),
    "architecture": ({"architectures": ["LlamaForCausalLM"]}, Reason.ARCHITECTURE_NOT_ALLOWED),
    "tokenizer": ({"tokenizerDigests": ["sha256:" + "2" * 64]}, Reason.TOKENIZER_NOT_ALLOWED),
    "memory": ({"maxMemoryBytes": 1_000}, Reason.NEEDS_TOO_MUCH_MEMORY),
}


@pytest.mark.parametrize(("rules", "reason"), RULES.values(), ids=RULES)
def test_the_operators_rules_decide(models: Path, rules: dict[str, Any], reason: Reason | None) -> None:
    found = refusal_of(models / "tiny-fc-600", admission_of(json.dumps(rules)), RUN, max_bytes=1 << 30)
    assert (found.reason if found else None) is reason
    assert reason is None or reason.fault is Fault.MODEL


def test_a_model_that_is_not_sound_is_left_to_the_evaluation(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert refusal_of(tmp_path, admission_of('{"maxParameters": 1}'), RUN, max_bytes=1 << 30) is None


@pytest.mark.parametrize("text", ["{", '{"maxParameters": 0}', '{"maxSize": 1}', "[]"])
def test_conditions_that_are_none_are_named(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        admission_of(text)


@pytest.mark.parametrize(("text", "reason"), [(None, None), ('{"maxParameters": 1}', Reason.TOO_MANY_PARAMETERS)])
def test_run_refuses_before_it_loads(models: Path, text: str | None, reason: Reason | None) -> None:
    words = ["--model", "m", "--tasks", "t", *(["--admission", text] if text else [])]
    options = run_parser().parse_args(words)
    options.loss = None
    setup = _Setup(options, [], None, backend=None, console=None)  # type: ignore[arg-type]
    model = LocalModel(models / "tiny-fc-600", repo="m", commit=None)
    if reason is None:
        _check_admission(setup, model)
        return
    with pytest.raises(ModelFault) as caught:
        _check_admission(setup, model)
    assert caught.value.reason is reason


def test_a_plan_passes_the_conditions_on_and_says_who_would_be_refused(models: Path) -> None:
    made = planned(a_round(admission={"maxParameters": 1000}), model=str(models / "tiny-fc-600"))
    assert json.loads(option(made.run, "--admission") or "") == {"maxParameters": 1000}
    assert any("would be refused, TooManyParameters" in note for note in made.notes)
    admitted = planned(a_round(admission={"maxParameters": 10**9}), model=str(models / "tiny-fc-600"))
    assert any("would be admitted" in note for note in admitted.notes)
    assert option(planned(a_round()).run, "--admission") is None


def test_a_plan_says_which_models_the_round_has_refused() -> None:
    entry = {"model": "m", "repo": "o/m", "state": "Rejected", "reason": "LicenseNotAllowed", "message": "licence x"}
    made = planned(a_round(status={"results": [entry, {**entry, "model": "n", "state": "Succeeded"}]}))
    assert [note for note in made.notes if "has not admitted" in note] == [
        "the round has not admitted m: LicenseNotAllowed: licence x"
    ]
