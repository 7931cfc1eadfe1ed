"""The baseline of a task set: the score of the best constant answer, which needs no model and reads no question.

The list of answers is fixed, except that one is the right answer that most tasks share. So the baseline follows from
the tasks and the rule alone, and it is found in seconds. A model whose score is not above it has shown nothing.

For losses, the best constant is a distribution over bytes that never looks at what came before: each byte's share in
the references, where each text has the weight that its loss has in the result. Its loss is the entropy of the shares.
There is none for losses per token, which depend on a tokenizer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossNormalization, LossParameters, ScorerName
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Baseline, Task
from bitagent_crds.texts import loss_text, score_text
from bitagent_evaluator.parsing import Calls
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import DECODER_FAILED, expected_calls
from bitagent_evaluator.scoring.kinds import task_kind, with_kinds
from bitagent_evaluator.scoring.loss import reference_text
from bitagent_evaluator.scoring.metric import score_of_loss
from bitagent_evaluator.scoring.scorers import aggregate, score

SILENCE, EMPTY_LIST, REFUSAL, CALL = "an empty answer", "an empty list", "a refusal", "a call of x"
COMMONEST = "the right answer that most tasks share"
BYTES = "each byte by its share in all references"
CONSTANTS: Mapping[str, str] = {
    SILENCE: "",
    EMPTY_LIST: "[]",
    REFUSAL: "None of these functions can do that.",
    CALL: "x()",
}
"""Constant answers by what they are called; `COMMONEST` is another one, if a task expects calls.

In a conversation each of them comes to saying nothing: no reference does without calls.
"""
_ALL_OR_NOTHING = frozenset({BuiltinScorer.BFCL, BuiltinScorer.BFCL_STRICT, BuiltinScorer.EXACT_MATCH})


def baseline(
    tasks: Sequence[Task],
    *,
    scorer: ScorerName,
    aggregation: Aggregation = Aggregation.MEAN,
    loss: LossParameters | None = None,
) -> Baseline | None:
    """Return the best constant answer's score by a scorer; None if there is no constant answer.

    Raises UnknownName, BrokenPlugin and SandboxUnavailable.
    """
    if not tasks:
        return None
    if scorer == BuiltinScorer.LOSS:
        return _of_losses(tasks, aggregation, (loss or LossParameters()).settled())
    silent = _score_all([task for task in tasks if task.expects is Expects.STATE], "", scorer)
    scores: dict[str, str] = {}
    for name, text in {**CONSTANTS, **_commonest(tasks)}.items():
        known = [*silent, *_hopeless(tasks, name, scorer)]
        done = {verdict.id for verdict in known}
        verdicts = known + _score_all([task for task in tasks if task.id not in done], text, scorer)
        scores[name] = aggregate(with_kinds(verdicts, tasks, aggregation), scorer=scorer, aggregation=aggregation).score
    best = max(scores, key=lambda name: float(scores[name]))
    return Baseline(scorer=scorer, aggregate=aggregation, answer=best, score=scores[best])


def _commonest(tasks: Sequence[Task]) -> dict[str, str]:
    answers = Counter(
        render_calls(cast(Calls, expected_calls(task)), task.language)
        for task in tasks
        if task.expects is Expects.CALLS
    )
    return {COMMONEST: answers.most_common(1)[0][0]} if answers else {}


def _hopeless(tasks: Sequence[Task], name: str, scorer: ScorerName) -> list[Verdict]:
    """Return the verdicts on tasks that a constant certainly fails, and whose check would take a sandbox each.

    A fixed text is not a call in Java or JavaScript, so a rule of all or nothing fails it.
    """
    if scorer not in _ALL_OR_NOTHING or name == COMMONEST:
        return []
    return [
        Verdict(id=task.id, category=task.category, passed=False, error=DECODER_FAILED)
        for task in tasks
        if task.expects is Expects.CALLS and task.language is not Language.PYTHON
    ]


def _score_all(tasks: Sequence[Task], text: str, scorer: ScorerName) -> list[Verdict]:
    responses = [
        Response(
            id=task.id,
            text=text,
            finish_reason="stop",
            prompt_tokens=0,
            completion_tokens=0,
            turns=[[text] for _ in task.conversation.turns] if task.conversation else [[text]] if task.memory else [],
        )
        for task in tasks
    ]
    return score(tasks, responses, scorer=scorer) if tasks else []


def _of_losses(tasks: Sequence[Task], aggregation: Aggregation, loss: LossParameters) -> Baseline | None:
    if loss.normalization is not LossNormalization.BYTE or not all(task.reference for task in tasks):
        return None
    by_kind: dict[str, list[NDArray[np.float64]]] = {}
    for task in tasks:
        kind = task_kind(task).value if aggregation is Aggregation.KINDS else ""
        by_kind.setdefault(kind, []).append(_byte_shares(reference_text(task.reference or "", loss)))
    shares = sum(sum(of_kind) / len(of_kind) for of_kind in by_kind.values()) / len(by_kind)
    entropy = -math.fsum(share * math.log(share) for share in np.asarray(shares).tolist() if share)
    return Baseline(
        scorer=BuiltinScorer.LOSS,
        aggregate=aggregation,
        answer=BYTES,
        score=score_text(score_of_loss(max(0.0, entropy)), 1),
        loss=loss_text(max(0.0, entropy)),
        loss_parameters=loss,
    )


def _byte_shares(text: str) -> NDArray[np.float64]:
    counts = np.bincount(np.frombuffer(text.encode(), dtype=np.uint8), minlength=256)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
