"""Pools of tasks: which is built, which is asked, which are deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bitagent_crds.evalround import EvalRound
from bitagent_crds.online import OnlinePool
from bitagent_validator.objects import Round, RoundPhase, parse_round
from bitagent_validator.online.pool import plan_pools, pool_manifest, pool_of

Make = Callable[..., Any]
EVERY = OnlinePool(every_blocks=100)
DONE, RUNS, FAILED = RoundPhase.COMPLETE, RoundPhase.UNFINISHED, RoundPhase.FAILED


def pools(*phases: tuple[int, RoundPhase]) -> list[Round]:
    return [
        Round(
            name=f"p{period}",
            epoch=0,
            block=0,
            phase=phase,
            tasks_only=True,
            period=period,
            task_set_digest="sha256:" + "a" * 64 if phase is DONE else "",
            failure="the hub is away" if phase is FAILED else "",
        )
        for period, phase in phases
    ]


@pytest.mark.parametrize(
    ("found", "create", "asked", "deleted"),
    [
        pytest.param([], 7, [], [], id="none"),
        pytest.param([(7, RUNS)], None, [], [], id="the first is built"),
        pytest.param([(7, DONE)], None, ["p7"], [], id="the first is asked at once"),
        pytest.param([(6, DONE), (7, RUNS)], None, ["p6"], [], id="the next is built"),
        pytest.param([(6, DONE), (7, DONE)], None, ["p6", "p7"], [], id="the next is asked from the next period on"),
        pytest.param([(5, DONE), (6, DONE)], 7, ["p6", "p5"], [], id="a new period"),
        pytest.param([(4, DONE), (5, DONE), (6, DONE)], 7, ["p6", "p5", "p4"], ["p4"], id="two stay"),
        pytest.param([(6, RUNS)], None, [], [], id="one that is late is not doubled"),
        pytest.param([(6, DONE), (7, FAILED)], None, ["p6"], [], id="a failed one is not built again"),
        pytest.param([(4, FAILED), (5, DONE), (6, FAILED)], 7, ["p5"], ["p4"], id="but the next period's is"),
        pytest.param([(6, DONE), (8, RUNS)], None, ["p6"], [], id="the node is a little behind"),
        pytest.param([(6, DONE), (900, RUNS)], 7, ["p6"], ["p900"], id="of an invented height, or another length"),
    ],
)
def test_the_plan(
    found: list[tuple[int, RoundPhase]], create: int | None, asked: list[str], deleted: list[str]
) -> None:
    plan = plan_pools(EVERY, block=750, pools=list(reversed(pools(*found))))
    assert plan.create == create
    assert [each.name for each in plan.usable] == asked
    assert list(plan.delete) == deleted


def test_two_that_build_at_different_speeds_ask_the_same() -> None:
    quick = plan_pools(EVERY, block=799, pools=pools((6, DONE), (7, DONE)))
    slow = plan_pools(EVERY, block=799, pools=pools((6, DONE), (7, RUNS)))
    assert quick.usable[0].name == slow.usable[0].name == "p6"
    assert plan_pools(EVERY, block=800, pools=pools((6, DONE), (7, DONE))).usable[0].name == "p7"


@pytest.mark.parametrize(
    ("earlier", "unread", "create", "asked", "named"),
    [
        pytest.param([], 7, None, [], "p7", id="of this period"),
        pytest.param([(6, DONE)], 7, None, ["p6"], "p7", id="beside one that is asked"),
        pytest.param([(5, DONE)], 6, 7, ["p5"], "p6", id="of an earlier one: another is built"),
        pytest.param([(5, DONE), (7, RUNS)], 6, None, ["p5"], "", id="which is then waited for"),
    ],
)
def test_a_pool_that_cannot_be_read(
    earlier: list[tuple[int, RoundPhase]], unread: int, create: int | None, asked: list[str], named: str
) -> None:
    """A later version wrote it. It is named, and holds up the pools of later periods no longer than its own."""
    odd = [replace(each, readable=False) for each in pools((unread, RUNS))]
    plan = plan_pools(EVERY, block=750, pools=[*odd, *pools(*earlier)])
    assert (plan.create, [each.name for each in plan.usable], plan.unreadable) == (create, asked, named)
    assert plan.waiting == ("" if named else "p7")


@pytest.mark.parametrize(
    ("period", "deleted"), [(170, []), (171, ["p171"])], ids=["a node may be so far behind", "or not"]
)
def test_a_pool_of_a_short_period_that_has_not_begun(period: int, deleted: list[str]) -> None:
    plan = plan_pools(OnlinePool(every_blocks=5), block=750, pools=pools((149, DONE), (period, DONE)))
    assert list(plan.delete) == deleted


def test_why_there_is_none() -> None:
    assert plan_pools(EVERY, block=750, pools=pools((7, FAILED))).failed == "p7 failed: the hub is away"
    assert plan_pools(EVERY, block=750, pools=pools((7, RUNS))).waiting == "p7"


def test_the_object_is_a_round_of_tasks_only(competition: Make) -> None:
    template = {
        "models": {"matchLabels": {"a": "b"}},
        "tasks": {
            "sources": [{"bfcl": {"categories": ["multiple"]}}],
            "count": 10,
            "secretRef": {"name": "s", "key": "k"},
        },
        "evaluation": {"scorer": "BitAgent202504"},
    }
    given = competition(round=template)
    body: dict[str, Any] = pool_manifest(
        given,
        OnlinePool(every_blocks=100, count=50),
        7,
        seed="f" * 64,
        block_seconds=12,
        validator="val",
        namespace="ns",
        owner={
            "kind": "Validator",
            "name": "val",
            "uid": "u",
            "apiVersion": "bitagent.io/v1alpha1",
            "controller": True,
        },
    )
    spec = EvalRound.model_validate({"spec": body["spec"]}).spec
    assert (spec.tasks_only, spec.tasks.count, spec.tasks.seed) == (True, 50, "f" * 64)
    assert spec.active_deadline_seconds == 3600
    body["metadata"]["uid"] = "u-7"
    body["status"] = {"taskSet": {"digest": "sha256:" + "b" * 64, "count": 50, "uri": "x", "baseline": "0.250000"}}
    found = parse_round(body)
    assert (found.tasks_only, found.period, found.competition, found.baseline) == (True, 7, "fc", "0.250000")
    pool = pool_of(found, given)
    assert (pool.round_uid, pool.digest, pool.scorer) == ("u-7", "sha256:" + "b" * 64, "BitAgent202504")
