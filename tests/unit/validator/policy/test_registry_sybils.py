"""What many hotkeys of one attacker earn: the table of docs/policies.md, and the properties behind it.

`python -m tests.unit.validator.policy.test_registry_sybils` writes the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.policies import BuiltinPolicy, Standing
from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.competitions.scores import record
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.policy.registry import pay
from bitagent_validator.state.scores import Submission

DOCUMENT = Path(__file__).parents[4] / "docs" / "policies.md"
BEGIN, END = "<!-- sybils: begin -->\n", "<!-- sybils: end -->\n"
BATCHES = 4
BASELINE = 0.25
POLICIES = (BuiltinPolicy.BITAGENT, BuiltinPolicy.WINNER_TAKES_ALL, BuiltinPolicy.WIN_RATE)
HALF = {"policyParameters": {"bitAgent": {"winnerPercent": 50}}}
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "BitAgent": ("BitAgent", {}),
    "BitAgent, `winnerPercent: 50`": ("BitAgent", HALF),
    "WinnerTakesAll": ("WinnerTakesAll", {}),
    "WinRate": ("WinRate", {}),
}


@dataclass(frozen=True)
class Entry:
    """One hotkey's model in a complete round."""

    score: float | None
    state: ResultState = ResultState.SUCCEEDED
    near_copy_of: str | None = None


HONEST = {f"honest{number}": Entry(0.70 + number / 100) for number in range(10)}
"""Ten miners of 0.70 to 0.79; the best one committed last."""
BEST = "honest9"


def competition(policy: str, **changes: Any) -> Competition:
    template = {
        "models": {"matchLabels": {}},
        "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 200},
        "evaluation": {"scorer": "Loss"},
    }
    wire = {"id": "c", "schedule": {"everyBlocks": 100}, "round": template, "policy": policy}
    return Competition.model_validate(wire | changes)


def batch_losses(score: float) -> list[str]:
    """Losses around the one that gives the score, the same pattern for every model."""
    return [f"{abs(math.log(score)) * (1 + 0.02 * math.sin(batch)):.6f}" for batch in range(BATCHES)]


def paid(
    policy: str, entries: Mapping[str, Entry], *, newcomers: Iterable[str] = (), baseline: float = BASELINE, **spec: Any
) -> dict[str, Pay]:
    """What each hotkey earns after one complete round with these results, committed in their order."""
    results = tuple(
        ModelResult(
            model=hotkey,
            state=entry.state,
            score=None if entry.score is None else f"{entry.score:.6f}",
            batch_losses=batch_losses(entry.score) if entry.score else None,
            near_copy_of=entry.near_copy_of,
        )
        for hotkey, entry in entries.items()
    )
    round_ = Round("r", 1, 100, RoundPhase.COMPLETE, results=results, baseline=f"{baseline:.6f}")
    ours = competition(policy, **spec)
    new = list(newcomers)
    neurons = {
        hotkey: Neuron(uid=uid, hotkey=hotkey, stake=0, permit=False, registered_at=at, last_update=at)
        for uid, (hotkey, at) in enumerate([*((h, 10) for h in entries), *((h, 150) for h in new)])
    }
    submissions = {hotkey: Submission(hotkey=hotkey, block=block) for block, hotkey in enumerate(entries)}
    scored = record(None, round_, competition=ours, submissions=submissions, neurons=neurons)
    return pay(ours, Standings(scored, entrants=frozenset(new)), neurons)


def total(result: Mapping[str, Pay], prefix: str) -> float:
    return math.fsum(each.share for hotkey, each in result.items() if hotkey.startswith(prefix))


def attackers(entry: Entry, count: int) -> dict[str, Entry]:
    return {f"sybil{number}": entry for number in range(count)}


SUCCEEDED = ResultState.SUCCEEDED
ATTACKS: dict[str, tuple[Entry | None, dict[str, Any]]] = {
    "exact copies of the best": (Entry(None, ResultState.DUPLICATE), {}),
    "near copies of the best, `duplicates: Flag`": (Entry(0.79, near_copy_of=BEST), {}),
    "near copies of the best, `duplicates: EarliestEarns`": (
        Entry(0.79, near_copy_of=BEST),
        {"duplicates": "EarliestEarns"},
    ),
    "own models as good as the best, not alike": (Entry(0.79), {}),
    "models that solve nothing": (Entry(0.0), {}),
    "models with a fault of their own": (Entry(0.0, ResultState.MODEL_FAULT), {}),
    "models that always refuse, as the best constant answer": (Entry(BASELINE), {}),
    "the same, and one more task of 200": (Entry(BASELINE + 1 / 200), {}),
    "models of shallow skill (0.31, a bag of words), not alike": (Entry(0.31), {}),
    "models whose attempts all fail, never scored": (Entry(None, ResultState.UNSCORED), {}),
    "newcomers in the running round": (None, {}),
}
COUNTS = (1, 10, 100)


def attack(policy: str, name: str, count: int, **more: Any) -> float:
    entry, spec = ATTACKS[name]
    if entry is None:
        return total(paid(policy, HONEST, newcomers=[f"sybil{n}" for n in range(count)], **more), "sybil")
    return total(paid(policy, HONEST | attackers(entry, count), **spec, **more), "sybil")


def table() -> str:
    """The table of docs/policies.md."""
    lines = [
        f"| attacker's hotkeys ({', '.join(map(str, COUNTS[:-1]))} or {COUNTS[-1]}) | {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for name in ATTACKS:
        cells = []
        for policy, more in COLUMNS.values():
            shares = [attack(policy, name, count, **more) for count in COUNTS]
            cells.append(" / ".join(f"{100 * share:.1f}" for share in shares) + " %" if any(shares) else "0")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_the_documentation_is_what_the_policies_pay() -> None:
    text = DOCUMENT.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table(), "run this module to write it"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "name",
    [
        "exact copies of the best",
        "near copies of the best, `duplicates: EarliestEarns`",
        "models that solve nothing",
        "models with a fault of their own",
        "models that always refuse, as the best constant answer",
        "models whose attempts all fail, never scored",
    ],
)
def test_what_earns_nothing_takes_nothing(policy: str, name: str) -> None:
    assert attack(policy, name, 100) == 0


WITHOUT_SKILL = st.builds(
    Entry,
    score=st.floats(0, BASELINE),
    state=st.just(SUCCEEDED),
) | st.sampled_from(
    [
        Entry(0.0, ResultState.MODEL_FAULT),
        Entry(None, ResultState.UNSCORED),
        Entry(None, ResultState.REJECTED),
        Entry(None, ResultState.DUPLICATE),
    ]
)
HONEST_FIELD = st.lists(st.floats(BASELINE + 1e-5, 1), min_size=1, max_size=8).map(
    lambda scores: {f"honest{number}": Entry(score) for number, score in enumerate(scores)}
)


@pytest.mark.parametrize("policy", POLICIES)
@given(honest=HONEST_FIELD, without=st.lists(WITHOUT_SKILL, min_size=1, max_size=12), first=st.booleans())
def test_hotkeys_at_or_below_the_baseline_change_no_pay(
    policy: str, honest: dict[str, Entry], without: list[Entry], first: bool
) -> None:
    """However many there are, and whether they committed before or after the others."""
    sybils = {f"sybil{number}": entry for number, entry in enumerate(without)}
    entries = sybils | honest if first else honest | sybils
    result = paid(policy, entries)
    alone = paid(policy, honest)
    assert total(result, "sybil") == 0
    assert {h: each.share for h, each in result.items() if h in honest} == {h: e.share for h, e in alone.items()}


@pytest.mark.parametrize("policy", POLICIES)
@given(honest=HONEST_FIELD, count=st.integers(1, 50), percent=st.integers(0, 20))
def test_newcomers_take_their_bounded_part_at_most(
    policy: str, honest: dict[str, Entry], count: int, percent: int
) -> None:
    bitagent = policy == BuiltinPolicy.BITAGENT
    spec = {"policyParameters": {"bitAgent": {"newcomerPercent": percent}}} if bitagent else {}
    part = percent / 100 if bitagent else 0
    newcomers = [f"sybil{number}" for number in range(count)]
    alone, result = paid(policy, honest, **spec), paid(policy, honest, newcomers=newcomers, **spec)
    assert total(result, "sybil") <= part + 1e-12
    for hotkey, each in alone.items():
        assert each.share * (1 - part) - 1e-12 <= result[hotkey].share <= each.share


@pytest.mark.parametrize("policy", POLICIES)
@given(honest=HONEST_FIELD, noise=st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=10), data=st.data())
def test_near_copies_do_not_raise_what_their_owner_earns(
    policy: str, honest: dict[str, Entry], noise: list[float], data: st.DataObject
) -> None:
    """When the earliest earns, a hotkey that adds near copies of its own or another's model gains nothing."""
    original = data.draw(st.sampled_from(sorted(honest)))
    score = honest[original].score or 0.0
    copies = {
        f"copy{number}": Entry(min(1.0, max(0.0, score + each)), near_copy_of=original)
        for number, each in enumerate(noise)
    }
    result = paid(policy, honest | copies, duplicates="EarliestEarns")
    alone = paid(policy, honest, duplicates="EarliestEarns")
    assert {h: each.share for h, each in result.items() if h in honest} == {h: e.share for h, e in alone.items()}
    assert {result[copy].standing for copy in copies} <= {Standing.NEAR_COPY, Standing.AT_BASELINE}


@given(honest=HONEST_FIELD, score=st.floats(BASELINE + 0.01, 1), count=st.integers(1, 30))
def test_one_skill_on_many_hotkeys_gains_what_the_policy_says(
    honest: dict[str, Entry], score: float, count: int
) -> None:
    """BitAgent pays n equal models that are not alike n e / (n e + r); the winner's place cannot be held twice."""
    mine = attackers(Entry(score), count)
    shares = paid("BitAgent", honest | mine)

    def worth(value: float) -> float:
        return math.exp(5 * float(f"{value:.6f}")) - math.exp(5 * BASELINE)

    own, others = count * worth(score), math.fsum(worth(entry.score or 0) for entry in honest.values())
    assert total(shares, "sybil") == pytest.approx(own / (own + others))
    one = paid("WinnerTakesAll", honest | attackers(Entry(score), 1))
    many = paid("WinnerTakesAll", honest | mine)
    assert total(many, "sybil") == total(one, "sybil")


@given(honest=HONEST_FIELD, extra=st.lists(st.floats(BASELINE + 0.001, 1), min_size=1, max_size=30))
def test_the_part_of_the_best_is_not_shared(honest: dict[str, Entry], extra: list[float]) -> None:
    """An honest winner keeps it, however many hotkeys an attacker has, unless one of them is better by the margin."""
    sybils = {f"sybil{number}": Entry(score) for number, score in enumerate(extra)}
    result = paid("BitAgent", honest | sybils, **HALF)
    winner = paid("WinnerTakesAll", honest | sybils)
    assert result[next(h for h, each in winner.items() if each.share)].share >= 0.5
    assert math.fsum(each.share for each in result.values()) == pytest.approx(1)


@given(extra=st.lists(st.floats(BASELINE + 0.001, 0.74), min_size=1, max_size=30))
def test_models_that_are_not_among_the_best_move_no_win_rate(extra: list[float]) -> None:
    worse = {f"sybil{number}": Entry(score) for number, score in enumerate(extra)}
    alone, result = paid("WinRate", HONEST), paid("WinRate", HONEST | worse)
    assert {h: each.share for h, each in result.items() if h in HONEST} == {h: e.share for h, e in alone.items()}


def test_a_higher_steepness_takes_from_many_shallow_models() -> None:
    """A hundred bags of words are worth a third of a good miner's work by default, and hardly anything at 10."""
    steep = {"policyParameters": {"bitAgent": {"steepness": 10}}}
    shallow = attackers(Entry(0.31), 100)
    by_default, steeper = (total(paid("BitAgent", HONEST | shallow, **spec), "sybil") for spec in ({}, steep))
    assert by_default > 0.2
    assert steeper < 0.06


@pytest.mark.parametrize(("duplicates", "winner"), [("Flag", "sybil"), ("EarliestEarns", "first")])
def test_a_copy_of_a_model_that_missed_the_margin_wins_by_luck_unless_copies_earn_nothing(
    duplicates: str, winner: str
) -> None:
    """The margin protects the first place from copies of its holder, not the second from copies that were lucky."""
    entries = {"first": Entry(0.70), "second": Entry(0.715), "sybil": Entry(0.721, near_copy_of="second")}
    result = paid("WinnerTakesAll", entries, duplicates=duplicates)
    assert {hotkey for hotkey, each in result.items() if each.share} == {winner}


@given(shields=st.lists(st.floats(0.70, 0.719), min_size=1, max_size=30))
def test_models_within_the_margin_do_not_raise_what_a_later_one_must_exceed(shields: list[float]) -> None:
    own = {"sybil": Entry(0.70)} | {f"sybil{number}": Entry(score) for number, score in enumerate(sorted(shields))}
    spec = {"policyParameters": {"winnerTakesAll": {"marginPercent": 2}}}
    result = paid("WinnerTakesAll", own | {"honest": Entry(0.721)}, **spec)
    assert result["honest"].share == 1


def test_weak_models_take_no_place_in_the_field_of_win_rates() -> None:
    """A hundred earlier models that are a little worse than the best one do not end its pay."""
    crowd = attackers(Entry(0.785), 100)
    result = paid("WinRate", crowd | HONEST)
    assert result[BEST].share > 0.95


@pytest.mark.parametrize(
    ("registered_at", "known", "tried"),
    [(150, True, False), (150, False, True), (10, False, False)],
    ids=["registered again", "in a round that failed", "registered before the last round"],
)
def test_hotkeys_that_are_new_in_name_only_are_no_newcomers(registered_at: int, known: bool, tried: bool) -> None:
    entries = HONEST | ({"sybil": Entry(0.9)} if known else {})
    ours = competition("BitAgent")
    results = tuple(ModelResult(model=h, state=e.state, score=f"{e.score:.6f}") for h, e in entries.items())
    before = {h: Neuron(uid=u, hotkey=h, stake=0, permit=False, registered_at=10, last_update=10)
              for u, h in enumerate([*HONEST, "sybil"])}  # fmt: skip
    submissions = {h: Submission(hotkey=h, block=block) for block, h in enumerate(entries)}
    round_ = Round("r", 1, 100, RoundPhase.COMPLETE, results=results, baseline=f"{BASELINE:.6f}")
    scored = record(None, round_, competition=ours, submissions=submissions, neurons=before)
    now = before | {"sybil": replace(before["sybil"], registered_at=registered_at)}
    given = Standings(scored, entrants=frozenset({"sybil"}), tried=frozenset({"sybil"} if tried else ()))
    assert pay(ours, given, now)["sybil"].share == 0


def write_table() -> None:
    """Write the table into the documentation."""
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table() + text[text.index(END) :])


if __name__ == "__main__":
    write_table()
