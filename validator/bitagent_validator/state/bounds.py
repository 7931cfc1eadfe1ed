"""What a competition's document leaves out so that a ConfigMap holds it. Pure.

The API server takes 1 MiB. A thousand hotkeys with five rounds of long numbers fit; with the weights of earlier
rounds, or a thousand models whose claims are all contradicted beside them, they may not. What decides least is left
out first, and what is missing after a restart is read from the rounds that still exist, or begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bitagent_crds.policies import SMOOTHING_MAX
from bitagent_validator.state.documents import CompetitionState

LIMIT_BYTES = 1_000_000
"""Below the API server's 1,048,576, which names and metadata share."""
HOTKEYS_MAX = 2500
"""Most hotkeys of a subnet, for whose documents `fitted` always finds room."""


def fitted(document: CompetitionState, *, limit: int = LIMIT_BYTES) -> tuple[str, str]:
    """Return a document as JSON of at most `limit` bytes where that is possible, and what is left out of it."""
    content, left_out = document.model_dump_json(), ""
    for what, reduce in _steps():
        if len(content.encode()) <= limit:
            break
        document, left_out = reduce(document), what
        content = document.model_dump_json()
    return content, left_out


def _steps() -> Iterator[tuple[str, Callable[[CompetitionState], CompetitionState]]]:
    """Yield what is left out, and how, in this order; each step keeps what the ones before it left out."""
    yield "the texts of contradicted claims", _without_texts
    yield "the weights of earlier rounds", _without_weights
    for rounds in range(SMOOTHING_MAX - 1, 0, -1):
        yield f"results but those of the last {rounds} rounds", partial(_last_rounds, rounds=rounds)
    yield "averages of online answers", lambda state: state.model_copy(update={"online": None})
    yield "hotkeys of failed rounds", lambda state: state.model_copy(update={"tried": ()})
    yield "the shares that were paid last", lambda state: state.model_copy(update={"held": {}})


def _without_texts(state: CompetitionState) -> CompetitionState:
    return state.model_copy(
        update={"refused": {key: dict.fromkeys(models, "") for key, models in state.refused.items()}}
    )


def _without_weights(state: CompetitionState) -> CompetitionState:
    if state.scored is None:
        return state
    scores = {hotkey: each.model_copy(update={"weights": {}}) for hotkey, each in state.scored.scores.items()}
    return state.model_copy(update={"scored": state.scored.model_copy(update={"scores": scores})})


def _last_rounds(state: CompetitionState, *, rounds: int) -> CompetitionState:
    if state.scored is None:
        return state
    scores = {
        hotkey: each.model_copy(update={"results": each.results[-rounds:]})
        for hotkey, each in state.scored.scores.items()
    }
    change = {"scores": scores, "baselines": state.scored.baselines[-rounds:]}
    return state.model_copy(update={"scored": state.scored.model_copy(update=change)})
