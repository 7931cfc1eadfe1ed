"""`bitagent-validator weights plan`: what each hotkey would earn now, by which score, or why it earns nothing.

It reads what the validator's pod reads, and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bitagent_crds.names import VALIDATOR_LABEL
from bitagent_crds.policies import Standing
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ROUNDS, VALIDATORS
from bitagent_validator.chain.connection import ChainUnavailable, SubnetNotFound, connect
from bitagent_validator.chain.endpoints import secret_endpoints
from bitagent_validator.chain.facts import Neuron, Subnet
from bitagent_validator.competitions.scores import running_round, standings
from bitagent_validator.objects import ValidatorObject, parse_round, parse_validator
from bitagent_validator.policy.interface import Pay, PolicyError
from bitagent_validator.state.rows import Reveal, Setting
from bitagent_validator.state.store import StateStore
from bitagent_validator.weights.computed import ComputedWeights, compute_weights
from bitagent_wire.redaction import shown


@dataclass(frozen=True)
class Explanation:
    """What one hotkey earns by one competition, and why."""

    competition: str
    hotkey: str
    uid: int | None
    """None if it has no slot."""
    standing: Standing
    score: float | None
    """The mean over the last rounds, with that of online answers where these count; None if it has none."""
    rounds: float | None
    """Of it, what comes from rounds; None if online answers do not count."""
    online: float | None
    """Of it, what comes from online answers."""
    rank: int | None
    """Among the scores of the competition, 1 is the best; equal scores share a rank."""
    share: float
    """Of the competition's weights."""
    weight: float
    """Of all weights of its mechanism."""


async def settings_of(client: Client, name: str) -> list[Setting]:
    """Return the last settings of a Validator's weights, the newest first. Raises ApiError and StateUnreadable."""
    store = StateStore(client, (await validator_of(client, name))[0])
    await store.load(())
    return list(reversed(store.state.history))


def as_history(settings: Iterable[Setting]) -> str:
    """Return settings as a table for a terminal."""
    settings = list(settings)
    if not settings:
        return "no weights have been set yet; `weights plan` has what would be\n"
    columns = ("block", "time", "mechanism", "hotkeys", "changed", "state", "extrinsic", "rounds")
    rows = [columns]
    for each in settings:
        state = "missed" if each.missed else {Reveal.OPEN: "set", Reveal.PENDING: "sealed"}.get(each.reveal, "revealed")
        rows.append(
            (
                str(each.block),
                f"{each.at:%Y-%m-%dT%H:%M:%SZ}",
                str(each.mechanism),
                str(each.hotkeys),
                f"{each.change:.1%}",
                state,
                each.extrinsic,
                ",".join(each.rounds) or "fixed",
            )
        )
    return table(rows)


async def validator_of(client: Client, name: str) -> tuple[ValidatorObject, ValidatorSpec]:
    """Return a Validator and its spec. Raises ApiError if there is none that this version can read."""
    obj = await client.get(VALIDATORS, name)
    me = parse_validator(obj) if obj else None
    if me is None or me.spec is None:
        problem = "does not conform to this version" if me else f"does not exist in namespace {client.namespace}"
        raise ApiError(code=0, reason="NotFound", message=f"Validator {name} {problem}")
    return me, me.spec


@dataclass(frozen=True)
class Computed:
    """The weights of one mechanism as they would be now, and what they come from."""

    spec: ValidatorSpec
    mechanism: int
    competitions: tuple[Competition, ...]
    subnet: Subnet
    weights: ComputedWeights


async def compute(client: Client, name: str) -> list[Computed]:
    """Return the weights of each mechanism. Raises ApiError, StateUnreadable and ChainUnavailable."""
    me, spec = await validator_of(client, name)
    store = StateStore(client, me)
    await store.load(competition.id for competition in spec.competitions)
    found = [parse_round(each) for each in await client.list(ROUNDS, labels=f"{VALIDATOR_LABEL}={name}")]
    rounds = [each for each in found if not each.tasks_only]
    subnet = await _subnet(spec, hotkey=me.status.get("hotkey", ""), mechanisms=spec.mechanisms)
    known = {}
    for competition in spec.competitions:
        running = running_round(r for r in rounds if r.competition == competition.id and r.owner == me.uid)
        submissions = store.state.owners.get(running.key, {}) if running else {}
        known[competition.id] = standings(
            competition, running, state=store.state, submissions=submissions, block=subnet.block
        )
    result = []
    for mechanism in spec.mechanisms:
        own, on = tuple(c for c in spec.competitions if c.mechanism == mechanism), subnet.on(mechanism)
        computed = compute_weights(own, standings=known, subnet=on, weights=spec.weights, held=store.state.held)
        result.append(Computed(spec, mechanism, own, on, computed))
    return result


async def explain(client: Client, name: str) -> list[Explanation]:
    """Return what each hotkey with a model would earn now.

    Raises ApiError, StateUnreadable, ChainUnavailable, and PolicyError if a policy cannot be applied.
    """
    lines: list[Explanation] = []
    for each in await compute(client, name):
        computed = each.weights
        if problem := computed.policy_problem or "; ".join(computed.failed.values()):
            raise PolicyError(problem)
        burnt = each.spec.weights.burn.percentage / 100 if computed.owner else 0.0
        paying = computed.paying
        lines += explanations(each.competitions, computed.pay, each.subnet.neurons, burnt=burnt, paying=paying)
    return lines


async def _subnet(spec: ValidatorSpec, *, hotkey: str, mechanisms: Sequence[int]) -> Subnet:
    problem = "spec.chain has no endpoint"
    try:
        endpoints = [*secret_endpoints(), *spec.chain.endpoints]
    except ValueError as error:
        raise ChainUnavailable(str(error)) from None
    for endpoint in endpoints:
        try:
            async with connect(endpoint) as connection:
                block = await connection.finalized()
                return await connection.subnet(spec.netuid, hotkey=hotkey, block=block, mechanisms=mechanisms)
        except ChainUnavailable as error:
            problem = str(error)
        except SubnetNotFound:
            problem = f"{shown(endpoint)} has no subnet {spec.netuid}"
    raise ChainUnavailable(problem)


def explanations(
    competitions: Sequence[Competition],
    pay: Mapping[str, Mapping[str, Pay]],
    neurons: Mapping[str, Neuron],
    *,
    burnt: float = 0.0,
    paying: Collection[str] = (),
) -> list[Explanation]:
    """Return the lines of one mechanism's competitions, in each the largest share and then the best score first.

    `burnt` is the part of all weights that is burnt. The part of competitions that are not `paying` goes to the others.
    """
    total = sum(c.reward_share for c in competitions if c.id in paying)
    found = []
    for competition in competitions:
        pays = pay[competition.id]
        scores = sorted((each.score for each in pays.values() if each.score is not None), reverse=True)
        lines = [
            Explanation(
                competition=competition.id,
                hotkey=hotkey,
                uid=neurons[hotkey].uid if hotkey in neurons else None,
                standing=each.standing,
                score=each.score,
                rounds=each.rounds,
                online=each.online,
                rank=None if each.score is None else scores.index(each.score) + 1,
                share=each.share,
                weight=each.share * competition.reward_share / total * (1 - burnt) if total else 0.0,
            )
            for hotkey, each in pays.items()
        ]
        found += sorted(lines, key=lambda line: (-line.share, -(line.score or 0), line.standing, line.hotkey))
    return found


COLUMNS = ("competition", "rank", "score", "rounds", "online", "share", "weight", "why", "uid", "hotkey")
ONLINE_COLUMNS = ("rounds", "online")
"""Columns that are left out if online answers count nowhere."""


def as_table(lines: Iterable[Explanation]) -> str:
    """Return the lines as a table for a terminal."""
    found = list(lines)
    if not found:
        return "no hotkey has a result or a model in a running round yet\n"
    asked = any(line.online is not None for line in found)
    rows = [COLUMNS, *(_cells(line) for line in found)]
    shown = [at for at, name in enumerate(COLUMNS) if asked or name not in ONLINE_COLUMNS]
    return table([tuple(row[at] for at in shown) for row in rows])


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows of cells, the first of which are the names of the columns, for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join("  ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in rows)


def _cells(line: Explanation) -> tuple[str, ...]:
    return (
        line.competition,
        "" if line.rank is None else str(line.rank),
        "" if line.score is None else f"{line.score:.6f}",
        "" if line.rounds is None else f"{line.rounds:.6f}",
        "" if line.online is None else f"{line.online:.6f}",
        f"{line.share:.6f}",
        f"{line.weight:.6f}",
        line.standing.value,
        "" if line.uid is None else str(line.uid),
        line.hotkey,
    )


def as_json(lines: Iterable[Explanation]) -> str:
    """Return the lines as one JSON object each."""
    return "".join(json.dumps(asdict(line)) + "\n" for line in lines)
