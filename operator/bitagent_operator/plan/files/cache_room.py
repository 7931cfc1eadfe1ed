"""What a fetch may remove from the model cache: what the operator knows about the models in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bitagent_crds.jobs import CacheRoom
from bitagent_crds.model_result import FINAL_STATES, ModelResult
from bitagent_crds.names import cache_id
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.plan.identity import cached_directory, source_directory
from bitagent_operator.plan.rounds.attribution import MAX_IN_TURN
from bitagent_operator.plan.rounds.settlement import control_candidates, drawn_by

MAX_IDS = 4096
"""Ids in one list: a Job's document is an annotation, of which an object has 256 KiB."""


def room_for(
    model: ModelObject,
    *,
    models: Iterable[ModelObject],
    rounds: Iterable[RoundObject],
    share_bytes: int,
    validators: Iterable[ValidatorObject] = (),
) -> CacheRoom:
    """Return what the fetch of a model may remove.

    Models that a running round has yet to evaluate stay, whoever needs room, and so do those for its controls and
    those that rewriters serve. Those that were evaluated, and that no running round waits for, go first. The others of
    the same hotkey share its part of the cache with the new one.
    """
    models = list(models)
    by_name = {m.meta.name: m for m in models}
    served = {found for each in validators if (found := _served(each)) is not None}
    in_use: set[str] = set()
    done: set[str] = set()
    for observed in rounds:
        controls = control_candidates(observed.status.results, by_name, drawn_by=drawn_by(observed.status))
        if not _needs_controls(observed.status.results):
            controls = controls[:MAX_IN_TURN]
        for result in observed.status.results:
            found = _id(result, by_name.get(result.model))
            if found is None:
                continue
            needed = result.state not in FINAL_STATES or any(result is control for control in controls)
            waits = observed.status.finished_at is None and needed
            (in_use if waits else done).add(found)
    hotkey = model.spec.miner.hotkey if model.spec.miner is not None else None
    same = {
        cache_id(source_directory(m.spec.source, m.status.resolved.commit))
        for m in models
        if hotkey is not None
        and m.meta.name != model.meta.name
        and m.spec.miner is not None
        and m.spec.miner.hotkey == hotkey
        and m.status.resolved is not None
    }
    return CacheRoom(
        in_use=[*sorted(served), *sorted(in_use - served)][:MAX_IDS],
        done=sorted(done - in_use - served)[:MAX_IDS],
        same_hotkey=sorted(same)[:MAX_IDS],
        share_bytes=share_bytes if hotkey is not None else 0,
    )


def _needs_controls(results: Sequence[ModelResult]) -> bool:
    """Whether only evaluations that failed are left: until then, the files of two controls are held at most."""
    left = [result for result in results if result.state not in FINAL_STATES]
    return bool(left) and all(result.failures for result in left)


def _served(validator: ValidatorObject) -> str | None:
    """Return the id of the files of a Validator's rewriter; None without one, or before they are known."""
    spec, status = validator.spec.rewriter, validator.rewriter
    if spec is None or status is None or status.resolved is None:
        return None
    return cache_id(source_directory(spec.source, status.resolved.commit))


def _id(result: ModelResult, model: ModelObject | None) -> str | None:
    """Return the id of the files of a round's model; None if they are not known."""
    if result.commit is not None and result.repo is not None:
        return cache_id(cached_directory(result))
    if model is None or model.status.resolved is None:
        return None
    return cache_id(source_directory(model.spec.source, model.status.resolved.commit))
