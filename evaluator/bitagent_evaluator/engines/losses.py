"""Losses of given text by vLLM's log-probabilities of prompt tokens.

A passage is a prompt of token ids, and the engine reports how likely each token was after those before it
(`prompt_logprobs=0`: the token itself and no ranking of others). vLLM always generates one token, so the passage's last
token is left out of the prompt and is the only one that may be generated: its log-probability comes from the same
logits, before that restriction, and a passage may have the model's whole length. Log-probabilities are a log-softmax in
float32; the logits are as exact as the engine's number format, which is why losses are measured by an engine in
float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from bitagent_evaluator.engines.plan import EnginePlan

STEP_TOKENS = 1024
"""Tokens computed in one step.

The logits of all of them are in memory together, which vLLM does not plan for: those of 1024 tokens with a vocabulary
of 150,000 take 600 MB in float32, and as much again for their logarithms.
"""
STEP_SEQUENCES = 64
"""Sequences computed in one step."""


@dataclass(frozen=True)
class MeasuredText:
    """A text, of which the tokens from `start` on are measured."""

    key: str
    """Chosen by the caller; the loss has the same."""
    token_ids: list[int]
    start: int
    """Index of the first measured token, at least 1 and below the number of tokens. All from there on are measured."""


@dataclass(frozen=True)
class PassageLoss:
    """The loss of one passage."""

    key: str
    nats: float
    """Negative log-likelihood of all measured tokens together, in nats; infinite if a log-probability is not finite."""


@runtime_checkable
class LossEngine(Protocol):
    """An engine that also measures losses."""

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        """Yield the losses of all passages, each as soon as it is finished. Raises InfrastructureFault."""
        ...


def plan_for_losses(plan: EnginePlan) -> EnginePlan:
    """Return the plan with steps whose logits fit into memory."""
    limits = {"max_num_batched_tokens": STEP_TOKENS, "max_num_seqs": STEP_SEQUENCES}
    return replace(plan, arguments=plan.arguments | limits)


def measure_losses(engine: Any, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
    """Yield the losses of passages by vLLM's `engine`, each as soon as it is finished."""
    _submit(engine, passages)
    by_key = {passage.key: passage for passage in passages}
    while engine.has_unfinished_requests():
        losses = [_loss(output, by_key[output.request_id]) for output in engine.step() if output.finished]
        if losses:
            yield losses


def _submit(engine: Any, passages: Sequence[MeasuredText]) -> None:
    from vllm.inputs import tokens_input
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    for passage in passages:
        *prompt, last = passage.token_ids
        parameters = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            prompt_logprobs=0,
            logprobs=0,
            allowed_token_ids=[last],
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        engine.add_request(passage.key, tokens_input(prompt), parameters)


def _loss(output: Any, passage: MeasuredText) -> PassageLoss:
    ids, start = passage.token_ids, passage.start
    logprobs = [output.prompt_logprobs[index][ids[index]].logprob for index in range(start, len(ids) - 1)]
    logprobs.append(output.outputs[0].logprobs[0][ids[-1]].logprob)
    nats = -math.fsum(logprobs) if all(map(math.isfinite, logprobs)) else math.inf
    return PassageLoss(passage.key, nats)
