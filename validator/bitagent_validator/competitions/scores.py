"""From a complete round to what it says about each hotkey. Pure.

One model of a hotkey counts in a round: that of its last commitment. Those without a commitment come before those with
one, by the time of their creation. Several models are therefore never several attempts at the same round. A commitment
that came too late for the round does not count, so that submitting a new model costs nothing in the round that runs.

A model whose claim to a commitment the chain contradicts has no submission. It must not turn the models that it claims
to precede into copies: the earliest of these has the place of the original. Copies of weights that another hotkey had
in an earlier round are duplicates (`earlier_weights`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.policies import SMOOTHING_MAX, BuiltinPolicy, Duplicates, WinRateParameters
from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.competitions.earlier_weights import in_place_of, remembered, without_copies
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.eligibility import Standings, is_validator
from bitagent_validator.policy.registry import terms_of
from bitagent_validator.policy.win_rate import round_win_rates
from bitagent_validator.state.documents import State
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound, Submission

Submissions = Mapping[str, Submission]
"""By the name of the MinerModel, in the order of their commitments; models without a hotkey are left out."""

UNDER_EVALUATION = frozenset({ResultState.PENDING, ResultState.RUNNING, ResultState.SUCCEEDED})
_SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})


def in_order(submissions: Iterable[tuple[str, Submission, str]]) -> dict[str, Submission]:
    """Return submissions by model in the order of their commitments.

    Each comes as the model's name, the submission, and the time of its object's creation in RFC 3339.
    """

    def order(item: tuple[str, Submission, str]) -> tuple[bool, int, str, str]:
        name, submission, created = item
        return (submission.block is not None, submission.block or 0, created, name)

    return {name: submission for name, submission, _ in sorted(submissions, key=order)}


def frozen_submission(result: ModelResult) -> Submission | None:
    """Return the submission that the round froze with its set; None if the model has no miner."""
    return Submission(hotkey=result.hotkey, block=result.commit_block) if result.hotkey is not None else None


def as_frozen(
    submissions: Submissions, results: Iterable[ModelResult], *, refused: Collection[str] = ()
) -> Submissions:
    """Return recorded submissions as the round has frozen them since, with the commits, in the order of these.

    A retry may have frozen other models than were recorded; those of `refused` claims stay out. A result of an earlier
    operator has no uid: what was recorded of its MinerModel stays.
    """
    frozen = {r.model: frozen_submission(r) for r in results if r.model_uid is not None and r.model not in refused}
    now: dict[str, Submission | None] = {**submissions, **frozen}
    if all(submissions.get(model) == submission for model, submission in now.items()):
        return submissions
    kept = {model: submission for model, submission in now.items() if submission is not None}
    return dict(sorted(kept.items(), key=lambda item: (item[1].block is not None, item[1].block or 0)))


def counting(round_: Round, submissions: Submissions) -> dict[str, ModelResult]:
    """Return the result of the one model of each hotkey that counts in a round.

    If that model is a copy of an earlier one of the same hotkey, the result is the earlier one's.
    """
    results = {result.model: result for result in round_.results}
    last: dict[str, ModelResult] = {}
    for model, submission in submissions.items():
        result = results.get(model)
        if result is not None and result.reason is not Reason.COMMIT_TOO_LATE:
            last[submission.hotkey] = result
    return {hotkey: _own_original(hotkey, result, results, submissions) for hotkey, result in last.items()}


def _own_original(
    hotkey: str, result: ModelResult, results: Mapping[str, ModelResult], submissions: Submissions
) -> ModelResult:
    original = results.get(result.duplicate_of or "")
    if original is None or result.state is not ResultState.DUPLICATE:
        return result
    owner = submissions.get(original.model)
    return original if owner and owner.hotkey == hotkey else result


def entrants(round_: Round, *, submissions: Submissions) -> frozenset[str]:
    """Return the hotkeys whose model the running round has yet to evaluate, or has evaluated successfully."""
    return frozenset(h for h, result in counting(round_, submissions).items() if result.state in UNDER_EVALUATION)


def running_round(rounds: Iterable[Round]) -> Round | None:
    """Return the unfinished round of these with the last epoch."""
    running = [round_ for round_ in rounds if round_.phase is RoundPhase.UNFINISHED and round_.readable]
    return max(running, key=lambda round_: round_.block, default=None)


def standings(
    competition: Competition, running: Round | None, *, state: State, submissions: Submissions, block: int
) -> Standings:
    """Return what is known about a competition's hotkeys at a block; `submissions` are those of the running round."""
    tried = frozenset(state.tried.get(competition.id, ()))
    entering: frozenset[str] = frozenset()
    if running:
        entering = entrants(running, submissions=submissions)
        if block >= running.block + competition.schedule.every_blocks:
            # A round that does not end must not pay newcomers for as long as it runs.
            tried |= entering
    online = state.online.get(competition.id) if competition.online is not None else None
    return Standings(state.scored.get(competition.id), entrants=entering, tried=tried, online=online)


def participants(round_: Round, *, submissions: Submissions, neurons: Mapping[str, Neuron]) -> frozenset[str]:
    """Return the registered hotkeys with a model in a round."""
    return frozenset(counting(round_, submissions).keys() & neurons.keys())


def record(
    known: ScoredRound | None,
    round_: Round,
    *,
    competition: Competition,
    submissions: Submissions,
    neurons: Mapping[str, Neuron],
    refused: Collection[str] = (),
    elsewhere: Iterable[ScoredRound] = (),
) -> ScoredRound:
    """Return what is known of a competition's hotkeys after one more complete round.

    `refused` are the models whose claims the chain contradicts, `elsewhere` is what is known of other competitions.
    Hotkeys that are not registered are dropped, and what was known of an earlier registration of a hotkey. Raises
    ValueError if the round is not complete.
    """
    if round_.phase is not RoundPhase.COMPLETE:
        raise ValueError("scores are taken from complete rounds only")
    if refused:
        round_ = replace(round_, results=_without_refused(round_.results, submissions, refused))
    earlier = known.scores if known else {}
    results_now = without_copies(
        round_.results,
        submissions=submissions,
        known=earlier,
        neurons=neurons,
        elsewhere=[other.scores for other in elsewhere],
    )
    round_ = replace(round_, results=results_now)
    fixed_at = round_.seed_from.block if round_.seed_from is not None else round_.block
    models = {h: result for h, result in counting(round_, submissions).items() if h in neurons}
    copies = _near_copies(round_.results, submissions)
    results = {
        hotkey: RoundResult(
            state=model.state,
            score=float(model.score) if model.score is not None and model.state in _SCORED else 0.0,
            near_copy=model.model in copies,
        )
        for hotkey, model in models.items()
    }
    baseline = float(round_.baseline or 0)
    blocks = {hotkey: submissions[model.model].block for hotkey, model in models.items()}
    if competition.policy == BuiltinPolicy.WIN_RATE:
        results = _with_win_rates(results, models, blocks, competition, neurons, baseline=baseline)
    scores: dict[str, HotkeyScore] = {}
    for hotkey in sorted(results.keys() | (known.scores.keys() & neurons.keys() if known else set())):
        before = known.scores.get(hotkey) if known else None
        registered_at = neurons[hotkey].registered_at
        if before and before.registered_at != registered_at:
            before = None
        result = results.get(hotkey)
        if before is None and result is None:
            continue
        history = (*(before.results if before else ()), result)
        scores[hotkey] = HotkeyScore(
            registered_at=registered_at,
            block=blocks.get(hotkey),
            results=history[-SMOOTHING_MAX:],
            weights=remembered(before.weights if before else {}, models.get(hotkey), fixed_at=fixed_at),
        )
    baselines = (*(known.baselines if known else ()), baseline)
    return ScoredRound(
        round=round_.name,
        epoch=round_.epoch,
        block=round_.block,
        scores=scores,
        baselines=baselines[-SMOOTHING_MAX:],
    )


def _without_refused(
    results: Iterable[ModelResult], submissions: Submissions, refused: Collection[str]
) -> tuple[ModelResult, ...]:
    """Return the results in which the earliest copy of each refused model has the place of the original."""
    by_model = {result.model: result for result in results}

    def seniority(model: str) -> tuple[float, int]:
        block = submissions[model].block
        return (math.inf if block is None else block, list(submissions).index(model))

    # First those with equal weights, which may be near copies of other refused ones.
    for member in ("duplicate_of", "near_copy_of"):
        for original in sorted(set(refused) & by_model.keys()):
            copies = [m for m in submissions if m in by_model and getattr(by_model[m], member) == original]
            if not copies:
                continue
            heir = by_model[min(copies, key=seniority)]
            by_model[heir.model] = (
                in_place_of(by_model[original], heir)
                if member == "duplicate_of"
                else heir.model_copy(update={"near_copy_of": None})
            )
    return tuple(by_model.values())


def _near_copies(results: Iterable[ModelResult], submissions: Submissions) -> frozenset[str]:
    """Return the models that are near copies of an earlier one of another hotkey, directly or by way of others.

    A model that resembles an earlier one of the same hotkey alone is an improvement of it, not a copy.
    """
    originals = {result.model: result.near_copy_of for result in results if result.near_copy_of}
    found = set()
    for model in originals.keys() & submissions.keys():
        original, seen = originals.get(model), {model}
        while original and original not in seen:
            owner = submissions.get(original)
            if owner is None or owner.hotkey != submissions[model].hotkey:
                found.add(model)
                break
            seen.add(original)
            original = originals.get(original)
    return frozenset(found)


def _with_win_rates(
    results: Mapping[str, RoundResult],
    models: Mapping[str, ModelResult],
    blocks: Mapping[str, int | None],
    competition: Competition,
    neurons: Mapping[str, Neuron],
    *,
    baseline: float,
) -> dict[str, RoundResult]:
    """Return the results with the win rates of the models that may be paid, as these play against each other."""
    terms = terms_of(competition)
    parameters = competition.policy_parameters.win_rate if competition.policy_parameters else None
    earliest_only = terms.duplicates is Duplicates.EARLIEST_EARNS
    losses = {
        hotkey: [float(loss) for loss in models[hotkey].batch_losses or ()]
        for hotkey, result in results.items()
        if result.state is ResultState.SUCCEEDED
        and result.score > baseline
        and not (result.near_copy and earliest_only)
        and not is_validator(neurons[hotkey], stake=terms.validator_stake)
    }
    since = {h: math.inf if (block := blocks[h]) is None else block for h in losses}
    rates = round_win_rates(losses, since, parameters or WinRateParameters())
    return {hotkey: result.model_copy(update={"win_rate": rates.get(hotkey)}) for hotkey, result in results.items()}
