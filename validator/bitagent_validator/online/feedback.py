"""What a miner reads about its answer. Pure.

It is text for a terminal, of the subnet's QueryResult, in which `[` begins markup. It says what was missed and in which
form a right answer is, never a right answer: the same task may be asked again.
"""

from __future__ import annotations

import statistics

from bitagent_crds.examiner import ExaminerVerdict
from bitagent_crds.validator import Competition
from bitagent_validator.state.scores import OnlineState

LENGTH_MAX = 4000
"""Characters of the whole text."""
LAG_SECONDS = 30.0
"""How much later than this one another validator may begin the same step."""


def held_seconds(competition: Competition) -> float:
    """Return how long after its question no feedback is sent.

    Validators with a common key ask the same task at the same step. A miner that knew what one thinks of its answer
    could give the others a better one.
    """
    online = competition.online
    shared = competition.round.tasks.secret_ref is not None
    return online.timeout_seconds + LAG_SECONDS if online is not None and shared else 0.0


def feedback(verdict: ExaminerVerdict, *, mean: float | None, others: OnlineState | None) -> str:
    """Return the text; `mean` is the miner's average before this answer, `others` those of all."""
    lines = [f"Score {verdict.score:.3f}: {verdict.points:g} of {verdict.maximum:g} points"]
    for each in verdict.criteria:
        detail = f" ({_plain(each.detail)})" if each.detail else ""
        lines.append(f"- {_plain(each.name)}: {each.points:g} of {each.maximum:g}{detail}")
    if verdict.expected_shape:
        lines.append(f"Expected form: {_plain(verdict.expected_shape)}")
    means = [each.mean for each in others.means.values()] if others else []
    if means:
        own = "none yet" if mean is None else f"{mean:.3f}"
        lines.append(
            f"Your average before this answer: {own}; of all miners: best {max(means):.3f}, "
            f"median {statistics.median(means):.3f}"
        )
    return "\n".join(lines)[:LENGTH_MAX]


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
