"""Recorded cases of the reference implementation, computed again: `bitagent-validator policy --replay IN OUT`.

One JSON object a line, with an `id` and a `kind`; the results are one object a line, in the same order:

    iswin  epsilon, loss_i, loss_j, block_i, block_j                       -> win
    steps  epsilon, temperature, alpha, sample_min, initial_weights, and   -> steps: wins, win_rate, step_weights,
           steps of competition, reward_percentage, n_competitions,           weights, keep_uids of each
           n_uids, uids, losses and blocks by uid
    dup    uids, models: hash and block by uid, or null                    -> evaluated: uids that keep their model

Numbers that JSON lacks are the texts "inf", "-inf" and "nan".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from bitagent_validator.policy.win_rate import is_win, softmax, wins


class ReplayError(Exception):
    """A line is not a case that can be computed; the message names the line."""


def _number(value: object) -> object:
    return float(value) if value in ("inf", "-inf", "nan") and isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number)]


class _Case(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _IsWin(_Case):
    kind: Literal["iswin"]
    id: str
    epsilon: Number
    loss_i: Number
    loss_j: Number
    block_i: Number
    block_j: Number


class _Step(_Case):
    competition: str
    reward_percentage: Number
    n_competitions: Annotated[int, Field(ge=1)]
    n_uids: Annotated[int, Field(ge=0, le=65536)]
    uids: list[Annotated[int, Field(ge=0)]]
    losses: dict[str, list[Number]]
    blocks: dict[str, Number]


class _Steps(_Case):
    kind: Literal["steps"]
    id: str
    epsilon: Number
    temperature: Annotated[Number, Field(gt=0)]
    alpha: Number
    sample_min: Annotated[int, Field(ge=0)]
    initial_weights: list[Number]
    steps: list[_Step]


class _Model(_Case):
    hash: str
    block: Number


class _Dup(_Case):
    kind: Literal["dup"]
    id: str
    uids: list[Annotated[int, Field(ge=0)]]
    models: dict[str, _Model | None]


_CASES: TypeAdapter[_IsWin | _Steps | _Dup] = TypeAdapter(
    Annotated[_IsWin | _Steps | _Dup, Field(discriminator="kind")]
)


def replay(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the result of each line. Raises ReplayError for a line that holds no case."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            case = _CASES.validate_json(line)
            yield _computed(case)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"{where}: {first['msg']}" if where else first["msg"]
            raise ReplayError(f"line {number}: {message}") from error
        except KeyError as error:
            raise ReplayError(f"line {number}: uid {error} has no losses, block or model") from error
        except IndexError as error:
            raise ReplayError(f"line {number}: a uid is not below n_uids") from error


def write(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield each result as a line of JSON."""
    for result in results:
        yield json.dumps(_without_special_numbers(result), separators=(",", ":")) + "\n"


def _without_special_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _without_special_numbers(member) for name, member in value.items()}
    return [_without_special_numbers(member) for member in value] if isinstance(value, list) else value


def _computed(case: _IsWin | _Steps | _Dup) -> dict[str, Any]:
    if isinstance(case, _IsWin):
        win = is_win(case.loss_i, case.loss_j, block=case.block_i, other_block=case.block_j, advantage=case.epsilon)
        return {"id": case.id, "win": win}
    if isinstance(case, _Dup):
        return {"id": case.id, "evaluated": _without_copies(case)}
    weights, steps = list(case.initial_weights), []
    for step in case.steps:
        result = _stepped(case, step, weights)
        weights = result["weights"]
        steps.append(result)
    return {"id": case.id, "steps": steps}


def _stepped(case: _Steps, step: _Step, weights: Sequence[float]) -> dict[str, Any]:
    names = [str(uid) for uid in step.uids]
    blocks = {name: step.blocks[name] for name in names}
    won, rates = wins({name: step.losses[name] for name in names}, blocks, advantage=case.epsilon)
    shares = softmax(rates, temperature=case.temperature)
    scale = step.reward_percentage * step.n_competitions
    new = [0.0] * step.n_uids
    for uid in step.uids:
        new[uid] = shares[str(uid)] * scale
    padded = [*weights, *([0.0] * step.n_uids)][: step.n_uids]
    mixed = [case.alpha * old + (1 - case.alpha) * each for old, each in zip(padded, new, strict=True)]
    return {
        "competition": step.competition,
        "wins": won,
        "win_rate": rates,
        "step_weights": shares,
        "weights": [0.0 if math.isnan(value) else value for value in mixed],
        "keep_uids": sorted(best_kept(step.uids, rates, count=case.sample_min)),
    }


def best_kept(uids: Sequence[int], rates: Mapping[str, float], *, count: int) -> list[int]:
    """Return the uids of the best win rates, which take part in the next step; the earlier listed of equal ones."""
    return sorted(uids, key=lambda uid: -rates[str(uid)])[:count]


def _without_copies(case: _Dup) -> list[int]:
    """Return the uids that keep their model: of equal hashes the one with the lowest block, or the first listed."""
    owner: dict[str, int] = {}
    for uid in case.uids:
        model = case.models[str(uid)]
        if model is None:
            continue
        first = owner.get(model.hash)
        kept = case.models[str(first)] if first is not None else None
        if kept is None or model.block < kept.block:
            owner[model.hash] = uid
    return [uid for uid in case.uids if uid in owner.values()]
