"""What `bitagent-operator explain` shows, from objects of an API server in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.operator.reconcilers.test_invalid_objects import Refusing, put, running_round

from bitagent_kube.client import Client
from bitagent_kube.clock import ServerClock
from bitagent_kube.errors import ApiError
from bitagent_operator.config import ConfigError
from bitagent_operator.explanation import explain as module
from bitagent_operator.explanation.explain import KINDS, configuration_of, explain, render
from bitagent_operator.observed.cache import Key, Kind

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
ROUND, MODEL, VALIDATOR = Key(Kind.ROUND, "r"), Key(Kind.MODEL, "a"), Key(Kind.VALIDATOR, "v")


class Readable(Refusing):
    """A server that nothing may be written to."""

    def __init__(self, make: Make) -> None:
        super().__init__(make)
        self.clock = ServerClock()

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        raise AssertionError("nothing is written")

    async def write_status(self, *_args: Any, **_kwargs: Any) -> Obj | None:
        raise AssertionError("nothing is written")


async def shown(make: Make, server: Readable, key: Key) -> str:
    return render(await explain(cast(Client, server), make.config(), key))


async def test_a_round_says_what_each_model_waits_for_and_what_comes_next(make: Make) -> None:
    server = Readable(make)
    running_round(make, server)
    text = await shown(make, server, ROUND)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0].startswith("EvalRound r in namespace ns")
    assert "write status: a: " in text
    assert [line.partition("-")[0] for line in lines if line.startswith("create Job")] == ["create Job r"] * 2
    assert "write status: Running: nothing -> False" in text
    assert server.created == {}


async def test_jobs_and_pods_are_shown_with_their_problems(make: Make) -> None:
    server = Readable(make)
    running_round(make, server)
    key = make.key("1")
    job = make.evaluation(key)
    labels = dict(job.meta.labels)
    owner = [{"uid": "uid-r", "controller": True}]
    server.put(
        "Job",
        {
            "metadata": {"name": job.meta.name, "uid": "j", "labels": labels, "ownerReferences": owner},
            "spec": {},
            "status": {"active": 1},
        },
    )
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no \x1b[2Jimage"}}
    pod = {"metadata": {"name": "p", "labels": labels, "ownerReferences": [{"uid": "j", "controller": True}]}}
    pod |= {"spec": {"nodeName": "gpu-1"}, "status": {"phase": "Pending", "containerStatuses": [{"state": waiting}]}}
    server.put("Pod", pod)
    text = await shown(make, server, ROUND)
    assert f"{job.meta.name} (evaluate, attempt 1): active" in text
    assert "pod p on gpu-1: Pending: " in text
    assert "image" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("fetched", "expected"),
    [
        pytest.param(False, "create Job a-", id="to be fetched"),
        pytest.param(True, "Fetched", id="fetched"),
        pytest.param("CorruptWeights", "CorruptWeights", id="rejected"),
    ],
)
async def test_a_model(make: Make, fetched: bool | str, expected: str) -> None:
    server = Readable(make)
    put(server, make.model_raw("a", fetched=fetched), "MinerModel")
    assert expected in await shown(make, server, MODEL)


async def test_a_validator(make: Make) -> None:
    class Applying(Readable):
        async def apply(self, *_args: Any, **_kwargs: Any) -> Obj:
            raise AssertionError("nothing is written")

    server = Applying(make)
    put(server, make.validator_raw("v"), "Validator")
    text = await shown(make, server, VALIDATOR)
    assert "create Deployment bitagent-validator-v" in text
    assert "Deployed" in text


async def test_an_object_that_cannot_be_read_says_why(make: Make) -> None:
    server = Readable(make)
    put(server, make.round_raw("r", models={"matchLabels": {"bad key!": "x"}}), "EvalRound")
    assert "spec.models.matchLabels" in await shown(make, server, ROUND)


async def test_an_object_that_is_not_there(make: Make) -> None:
    with pytest.raises(ApiError, match="there is no EvalRound r in namespace ns"):
        await shown(make, Readable(make), ROUND)


async def test_the_configuration_is_that_of_the_namespaces_operator(make: Make) -> None:
    server = Readable(make)
    with pytest.raises(ConfigError, match="no ConfigMap of an operator"):
        await configuration_of(cast(Client, server))
    labels = {"app.kubernetes.io/name": "bitagent-operator"}
    text = make.config().model_dump_json(by_alias=True)
    server.put("ConfigMap", {"metadata": {"name": "op", "labels": labels}, "data": {"config.yaml": text}})
    assert await configuration_of(cast(Client, server)) == make.config()


def test_kinds_have_the_names_of_kubectl() -> None:
    assert {KINDS[name] for name in ("er", "mm", "val")} == set(Kind)
    assert set(module.KINDS) >= {"evalrounds", "minermodel", "validators"}


async def test_a_round_says_where_the_time_went_and_how_far_it_is(make: Make) -> None:
    seconds = {"waiting": "9.000", "pulling": "3.000", "load": "20.000", "generate": "60.000", "score": "1.000"}
    done = make.admitted("a") | {"state": "Succeeded", "score": "0.500000", "seconds": seconds | {"idle": "2.500"}}
    progress = {
        "phase": "Generating",
        "done": 50,
        "total": 200,
        "tokensPerSecond": 123,
        "idleSince": "2026-01-01T00:01:00Z",
    }
    runs = make.admitted("b", weights="2") | {"state": "Running", "reason": "Evaluating", "progress": progress}
    gpus = {"held": 200, "generating": 60, "until": "2026-01-01T00:03:00Z"}
    server = Readable(make)
    status = {
        "startedAt": "2026-01-01T00:00:00Z",
        "taskSet": make.TASK_SET,
        "results": [done, runs],
        "gpuSeconds": gpus,
    }
    put(server, make.round_raw(status=status), "EvalRound")
    lines = [" ".join(line.split()) for line in (await shown(make, server, ROUND)).splitlines()]
    assert "model waiting pulling load generate score idle" in lines
    assert "a 9.000 3.000 20.000 60.000 1.000 2.500" in lines
    assert "b Generating 50 of 200 tasks, 123 tokens/s; no progress since 2026-01-01T00:01:00Z" in lines
    assert "GPU time held: 200 s; generating, in what has a score: 60 s (30 %)" in lines
