"""`bitagent-validator weights row`: each weight that would be set now, what it comes from, and what the chain holds.

`weights plan` explains what a hotkey earns by its model; this also shows what is held, burnt, or only fills the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from bitagent_crds.validator import Competition, WithoutResult
from bitagent_validator.explanation.explain import Computed, table


class Origin(StrEnum):
    """What a part of a weight comes from."""

    RESULTS = "Results"
    """The policy of a competition pays it."""
    HELD = "Held"
    """The competition has paid it last, and now has no result, or its policy failed."""
    BURNT = "Burnt"
    """It is not paid out: the part of a competition without a result, or that of `weights.burn`."""
    FILLS_ROW = "FillsRow"
    """It is there so that the subnet takes the row; the hotkey has not earned it."""


@dataclass(frozen=True)
class Part:
    """A part of one weight."""

    origin: Origin
    competition: str
    """Empty if it comes from none."""
    share: float
    """Of all weights of the mechanism, before they are rounded to u16 and limited to the subnet's largest share."""


@dataclass(frozen=True)
class RowLine:
    """One hotkey's weight in one mechanism."""

    mechanism: int
    hotkey: str
    uid: int | None
    """None if it has no slot."""
    weight: int
    """u16, as it would be set now; 0 if it gets none."""
    share: float
    """Of all weights of the mechanism."""
    on_chain: int
    """u16, as the chain holds it now."""
    parts: tuple[Part, ...]


def lines_of(computed: Computed) -> list[RowLine]:
    """Return a line for each weight of one mechanism, the largest first, and for those that only the chain has."""
    weights, subnet = computed.weights, computed.subnet
    row = weights.row.weights if weights.row else {}
    total = sum(row.values())
    lines = []
    for hotkey in row.keys() | subnet.weights.keys():
        neuron, weight = subnet.neurons.get(hotkey), row.get(hotkey, 0)
        share = weight / total if total else 0.0
        lines.append(
            RowLine(
                mechanism=computed.mechanism,
                hotkey=hotkey,
                uid=neuron.uid if neuron else None,
                weight=weight,
                share=share,
                on_chain=subnet.weights.get(hotkey, 0),
                parts=_parts(computed, hotkey, share) if weight else (),
            )
        )
    return sorted(lines, key=lambda line: (-line.weight, -line.on_chain, line.hotkey))


def _parts(computed: Computed, hotkey: str, share: float) -> tuple[Part, ...]:
    weights, burn = computed.weights, computed.spec.weights.burn.percentage / 100
    paying = [c for c in computed.competitions if c.id in weights.paying]
    total, rest = sum(c.reward_share for c in paying), 1 - burn if weights.owner else 1.0
    found = [
        Part(_origin(computed, each), each.id, part)
        for each in paying
        if (part := weights.effective[each.id].get(hotkey, 0.0) * each.reward_share / total * rest)
    ]
    if found or (burn and hotkey == weights.owner):
        return (*found, Part(Origin.BURNT, "", burn)) if burn and hotkey == weights.owner else tuple(found)
    # What the target of burning gets is burnt, also if it only fills the row.
    burnt = weights.row is not None and weights.row.burnt.get(hotkey)
    return (Part(Origin.BURNT if burnt else Origin.FILLS_ROW, "", share),)


def _origin(computed: Computed, competition: Competition) -> Origin:
    if any(each.share for each in computed.weights.pay.get(competition.id, {}).values()):
        return Origin.RESULTS
    held = competition.id in computed.weights.failed or competition.without_result is WithoutResult.HOLD
    return Origin.HELD if held else Origin.BURNT


def notes_of(computed: Computed) -> list[str]:
    """Return what keeps a part of the weights from being as the spec says."""
    weights = computed.weights
    problems = [f"{name}: {why}; its last shares stay" for name, why in sorted(weights.failed.items())]
    problems += [each for each in (weights.policy_problem, weights.burn_problem) if each]
    if weights.row is None:
        problems.append("no row can be made now: the last one stays, and is set again before it expires")
    return [f"mechanism {computed.mechanism}: {each}" for each in problems]


COLUMNS = ("mechanism", "weight", "share", "chain", "uid", "hotkey", "from")


def as_table(found: Iterable[Computed]) -> str:
    """Return the rows and the notes for a terminal."""
    found = list(found)
    lines = [line for each in found for line in lines_of(each)]
    text = "".join(f"{note}\n" for each in found for note in notes_of(each))
    return (table([COLUMNS, *map(_cells, lines)]) if lines else "") + text


def as_json(found: Iterable[Computed]) -> str:
    """Return the rows as one JSON object for each weight."""
    return "".join(json.dumps(asdict(line)) + "\n" for each in found for line in lines_of(each))


def _cells(line: RowLine) -> tuple[str, ...]:
    origins = [f"{each.origin}{f' of {each.competition}' * bool(each.competition)}" for each in line.parts]
    shares = [f"{100 * each.share:.4f} %" for each in line.parts]
    return (
        str(line.mechanism),
        str(line.weight),
        f"{line.share:.6f}",
        str(line.on_chain),
        "" if line.uid is None else str(line.uid),
        line.hotkey,
        ", ".join(map(" ".join, zip(origins, shares, strict=True))) or "nothing",
    )
