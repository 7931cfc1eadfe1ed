"""What a run is: the choices of a round and of a model, with their defaults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bitagent_crds.evaluation import (
    BuiltinScorer,
    Evaluation,
    LossNormalization,
    LossParameters,
    RunSpec,
    Thinking,
    longest_answer,
)
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.task_forms import BuiltinPromptFormat

DIGEST = "sha256:" + "1" * 64
NEEDED: dict[str, Any] = {"repo": "acme/model", "task_set_digest": DIGEST, "max_tokens": 8}


def test_the_defaults_of_a_run() -> None:
    run = RunSpec(**NEEDED)
    assert (run.prompt_format, run.scorer, run.engine) == (
        BuiltinPromptFormat.AUTO,
        BuiltinScorer.BFCL,
        EngineChoices(),
    )
    assert (run.commit, run.weights_digest, run.loss) == (None, None, None)


@pytest.mark.parametrize("missing", NEEDED)
def test_what_a_run_cannot_be_without(missing: str) -> None:
    with pytest.raises(ValidationError, match=r"(repo|taskSetDigest|maxTokens)\n"):
        RunSpec(**{name: value for name, value in NEEDED.items() if name != missing})


def test_losses_are_measured_by_default_parameters() -> None:
    assert RunSpec(**NEEDED).loss_parameters == LossParameters().settled()
    given = LossParameters(batches=3, reference_bytes=7)
    assert RunSpec(**NEEDED, loss=given).loss_parameters == given


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        pytest.param(LossParameters(), (4096, None), id="bytes"),
        pytest.param(LossParameters(reference_bytes=9), (9, None), id="bytes, given"),
        pytest.param(LossParameters(normalization=LossNormalization.TOKEN), (None, 2048), id="tokens"),
        pytest.param(
            LossParameters(normalization=LossNormalization.TOKEN, sequence_length=64), (None, 64), id="tokens, given"
        ),
    ],
)
def test_a_loss_has_the_bound_of_its_normalization(
    given: LossParameters, bounds: tuple[int | None, int | None]
) -> None:
    settled = given.settled()
    assert (settled.reference_bytes, settled.sequence_length) == bounds
    assert settled.settled() == settled


def test_a_run_on_the_wire_comes_back() -> None:
    run = RunSpec(**NEEDED, commit="c" * 40, weights_digest=DIGEST, scorer="OfAPackage")
    wire = run.to_wire()
    assert wire["taskSetDigest"] == DIGEST
    assert not wire.keys() & {"loss", "thinking", "maxThoughtTokens"}
    assert RunSpec.model_validate(wire) == run


@pytest.mark.parametrize(
    ("thinking", "kept", "switch"),
    [
        pytest.param(None, None, None, id="nothing said"),
        pytest.param(Thinking.TEMPLATE, None, None, id="as the template does"),
        pytest.param(Thinking.ON, Thinking.ON, True, id="on"),
        pytest.param(Thinking.OFF, Thinking.OFF, False, id="off"),
    ],
)
def test_a_run_asks_a_template_to_think_in_one_way(
    thinking: Thinking | None, kept: Thinking | None, switch: bool | None
) -> None:
    run = RunSpec(**NEEDED, thinking=thinking)
    assert (run.thinking, run.thinking_switch) == (kept, switch)
    assert RunSpec.model_validate(run.to_wire()) == run


@pytest.mark.parametrize("tokens", [0, 131_073])
def test_a_thought_has_bounds(tokens: int) -> None:
    with pytest.raises(ValidationError, match="maxThoughtTokens"):
        Evaluation.model_validate({"maxThoughtTokens": tokens})


def test_the_longest_answer_has_a_thought_before_it() -> None:
    assert longest_answer(RunSpec(**NEEDED)) == 8
    assert longest_answer(RunSpec(**NEEDED, max_thought_tokens=100)) == 108
    assert longest_answer(Evaluation(max_thought_tokens=100)) == 356
