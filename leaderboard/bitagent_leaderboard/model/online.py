"""Steps of online evaluation to what everybody may see. Pure.

Outcomes have sentences of their own: messages are not shown, since they may quote what a miner sent.
"""

from __future__ import annotations

from collections.abc import Iterable

from bitagent_crds.online import OnlineOutcome, OnlineResult, OnlineStatus
from bitagent_leaderboard.model.objects import OnlineAnswer, OnlineStep, Outcome
from bitagent_leaderboard.model.text import shown

_LATER = "A later version of the validator gives this outcome."
_MEANINGS = {
    OnlineOutcome.SCORED: "Its answer has a score.",
    OnlineOutcome.NOT_SERVING: "It serves no axon on the chain.",
    OnlineOutcome.ADDRESS_REFUSED: "Its axon has an address that is not public.",
    OnlineOutcome.UNREACHABLE: "No connection could be made, or it broke.",
    OnlineOutcome.TIMEOUT: "Its answer was not complete in time.",
    OnlineOutcome.REFUSED: "It does not answer this validator.",
    OnlineOutcome.UNAUTHORISED: "It did not accept the signature.",
    OnlineOutcome.RATE_LIMITED: "It limits the number of requests.",
    OnlineOutcome.BUSY: "It was too busy.",
    OnlineOutcome.UNSUPPORTED: "It does not know the message.",
    OnlineOutcome.REDIRECTED: "It answered with a redirect.",
    OnlineOutcome.FAILED: "It answered with an error.",
    OnlineOutcome.WRONG_TYPE: "Its answer has not the right form.",
    OnlineOutcome.TOO_LARGE: "Its answer is too large.",
    OnlineOutcome.BAD_SIGNATURE: "Its answer is not signed by its hotkey.",
    OnlineOutcome.REPLAYED: "Its answer is one to another request.",
    OnlineOutcome.BROKEN: "What it sent is not HTTP.",
    OnlineOutcome.UNSUITED_KEY: "It does not know this validator's kind of key; its average stays.",
    OnlineOutcome.TOO_COSTLY: "Its answer needs more time or memory to judge than an answer may take.",
    OnlineOutcome.NOT_SCORED: "The validator gave no score; its average stays.",
}
"""What became of a miner."""


def online_steps(steps: Iterable[OnlineStatus]) -> tuple[OnlineStep, ...]:
    """Return the last step of each competition that has had one."""
    return tuple(
        OnlineStep(
            competition=shown(each.competition),
            block=each.block,
            miners=each.miners,
            answers=tuple(sorted(map(_answer, each.results), key=_place)),
        )
        for each in steps
        if each.block
    )


def _answer(result: OnlineResult) -> OnlineAnswer:
    outcome = Outcome(shown(str(result.outcome.value)), _MEANINGS.get(result.outcome, _LATER))
    return OnlineAnswer(result.hotkey, outcome, result.score, result.mean)


def _place(answer: OnlineAnswer) -> tuple[bool, float, str]:
    return answer.mean is None, -float(answer.mean or 0), answer.hotkey
