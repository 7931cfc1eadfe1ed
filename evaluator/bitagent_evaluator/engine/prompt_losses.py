"""The loss of given text, by vLLM's log-probabilities of prompt tokens.

A passage goes in as a prompt of token ids, and of each the engine says how likely it was after those before it (`prompt_logprobs=0`: the
token itself and no ranking of others). vLLM always generates one token, so the passage's last token is left out of the prompt and is the one
that may be generated: its log-probability comes from the same logits, before that restriction, and a passage may fill the model's whole
length. Log-probabilities are a log-softmax in float32; the logits are as exact as the engine's number format, which is why losses are
measured by an engine in float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from bitagent_evaluator.engine.plan import EnginePlan

STEP_TOKENS = 1024
"""Tokens computed at once. The logits of all of them are in memory together, which vLLM does not plan for: 1024 of a vocabulary of 150,000
take 600 MB in float32, and as much again for their logarithms."""
STEP_SEQUENCES = 64


@dataclass(frozen=True)
class Passage:
    """Token ids, the later ones of which are measured."""

    key: str
    """Chosen by the caller; comes back with the loss."""
    token_ids: list[int]
    start: int
    """Place of the first token that is measured: at least 1, and a token."""


@dataclass(frozen=True)
class Measured:
    """The loss of one passage."""

    key: str
    loss: float
    """Mean negative log-likelihood of the measured tokens, in nats; infinite when the model's probabilities are no finite numbers."""


@runtime_checkable
class LossEngine(Protocol):
    """An engine that can also measure losses."""

    def losses(self, passages: Sequence[Passage]) -> Iterator[list[Measured]]:
        """The losses of all passages, those of each step as soon as they are finished. Raises InfrastructureFault."""
        ...


def for_losses(plan: EnginePlan) -> EnginePlan:
    """The plan with steps whose logits fit into memory."""
    limits = {"max_num_batched_tokens": STEP_TOKENS, "max_num_seqs": STEP_SEQUENCES}
    return replace(plan, arguments=plan.arguments | limits)


def measure(engine: Any, passages: Sequence[Passage]) -> Iterator[list[Measured]]:
    """The losses of passages by vLLM's `engine`, as they are finished."""
    _submit(engine, passages)
    by_key = {passage.key: passage for passage in passages}
    while engine.has_unfinished_requests():
        measured = [_measured(output, by_key[output.request_id]) for output in engine.step() if output.finished]
        if measured:
            yield measured


def _submit(engine: Any, passages: Sequence[Passage]) -> None:
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


def _measured(output: Any, passage: Passage) -> Measured:
    ids, start = passage.token_ids, passage.start
    found = [output.prompt_logprobs[place][ids[place]].logprob for place in range(start, len(ids) - 1)]
    found.append(output.outputs[0].logprobs[0][ids[-1]].logprob)
    loss = -math.fsum(found) / len(found) if all(map(math.isfinite, found)) else math.inf
    return Measured(passage.key, loss)
