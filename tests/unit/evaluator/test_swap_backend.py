"""When the backend keeps its engine, and when it starts another; with engines that pretend."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.engine import vllm_engine
from bitagent_evaluator.engine.compatible import Footprint, obstacle
from bitagent_evaluator.engine.memory import Room
from bitagent_evaluator.engine.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.engine.swap import EngineLost, swap_weights
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.runs.evaluate import checked_config


class PretendedEngine:
    """Remembers which models it had."""

    started: list[PretendedEngine] = []
    fails_to_swap = False
    fails_to_load = False

    def __init__(self, model_dir: Path, plan: EnginePlan, hardware: Hardware, built_for: Footprint) -> None:
        del hardware
        if self.fails_to_load:
            raise ModelFault(Reason.MODEL_LOAD_FAILED, "size mismatch")
        self.models, self.plan, self.built_for, self.closed = [model_dir.name], plan, built_for, False
        PretendedEngine.started.append(self)

    def obstacle(self, wanted: Footprint) -> str:
        return obstacle(self.built_for, wanted)

    def swap(self, model_dir: Path, wanted: Footprint) -> None:
        del wanted
        if self.fails_to_swap:
            raise EngineLost("RuntimeError: half-way")
        self.models.append(model_dir.name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[PretendedEngine]:
    """The engines that were started, in order."""
    monkeypatch.setattr(PretendedEngine, "started", [])
    monkeypatch.setattr(vllm_engine, "VllmEngine", PretendedEngine)
    monkeypatch.setattr(vllm_engine, "version", lambda _: "0")
    monkeypatch.setattr(VllmBackend, "hardware", lambda _: Hardware(0, "CPU"))
    return PretendedEngine.started


config_of = functools.cache(checked_config)


def start(backend: VllmBackend, model: Path, *, length: int = 100) -> Any:
    plan = plan_engine(config_of(model), EngineChoices(), Hardware(0, "CPU"), lengths=[length], max_tokens=60)
    return backend.start(model, plan)


def test_models_of_one_shape_share_an_engine(engines: list[PretendedEngine], models: Path) -> None:
    backend = VllmBackend()
    kept = [start(backend, models / name) for name in ("tiny-fc-250", "tiny-fc-1200", "tiny-fc-250")]
    assert [engine.models for engine in engines] == [["tiny-fc-250", "tiny-fc-1200", "tiny-fc-250"]]
    assert all(engine is engines[0] for engine in kept) and not engines[0].closed


def test_another_shape_gets_a_fresh_engine_after_the_first_was_closed(
    engines: list[PretendedEngine], models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backend = VllmBackend()
    for name in ("tiny-fc-250", "tiny-fc-gptq", "tiny-fc-1200"):
        start(backend, models / name)
    assert [engine.models for engine in engines] == [["tiny-fc-250"], ["tiny-fc-gptq"], ["tiny-fc-1200"]]
    assert [engine.closed for engine in engines] == [True, True, False]
    assert "quantised" in caplog.text


def test_failed_swap_ends_the_engine(
    engines: list[PretendedEngine], models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(PretendedEngine, "fails_to_swap", True)
    backend = VllmBackend()
    start(backend, models / "tiny-fc-250")
    start(backend, models / "tiny-fc-1200")
    assert [(engine.models, engine.closed) for engine in engines] == [
        (["tiny-fc-250"], True),
        (["tiny-fc-1200"], False),
    ]
    assert "half-way" in caplog.text


def test_what_a_failed_load_left_is_freed_before_the_next(
    engines: list[PretendedEngine], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    monkeypatch.setattr(vllm_engine, "free_memory", lambda: freed.append(len(engines)))
    backend = VllmBackend(several=True)
    monkeypatch.setattr(PretendedEngine, "fails_to_load", True)
    with pytest.raises(ModelFault):
        start(backend, models / "tiny-fc-250")
    assert freed == []
    monkeypatch.setattr(PretendedEngine, "fails_to_load", False)
    for name in ("tiny-fc-1200", "tiny-fc-gptq"):
        start(backend, models / name)
    assert freed == [0]


@pytest.mark.parametrize(("several", "started"), [(False, 2), (True, 1)], ids=["one model", "several models"])
def test_headroom_is_for_several_models(
    engines: list[PretendedEngine], models: Path, several: bool, started: int
) -> None:
    backend = VllmBackend(several=several)
    start(backend, models / "tiny-fc-250", length=100)
    start(backend, models / "tiny-fc-1200", length=101)
    assert len(engines) == started
    assert engines[0].plan.arguments["max_model_len"] == (512 if several else 160)


def test_what_does_not_fit_is_refused_before_it_is_loaded(
    engines: list[PretendedEngine], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room("the memory limit of this container", total=8 << 20, free=8 << 20, gpu=False)
    monkeypatch.setattr(vllm_engine, "cpu_room", lambda: room)
    with pytest.raises(InfrastructureFault, match=r"at least 0\.\d\d GiB of the memory limit"):
        start(VllmBackend(), models / "tiny-fc-250")
    assert engines == []


def test_a_swap_takes_no_memory(engines: list[PretendedEngine], models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = VllmBackend()
    start(backend, models / "tiny-fc-250")
    monkeypatch.setattr(vllm_engine, "cpu_room", lambda: Room("x", total=1, free=0, gpu=False))
    start(backend, models / "tiny-fc-1200")
    assert len(engines) == 1


class PretendedVllm:
    """What a swap asks of vLLM."""

    def __init__(self, *, names: list[str], idle: bool = True, error: Exception | None = None) -> None:
        self.names, self.idle, self.error = names, idle, error
        self.calls: list[str] = []

    def collective_rpc(self, method: str, args: tuple[list[str]]) -> list[list[str]]:
        self.calls.append(method)
        assert [Path(file).name for file in args[0]] == ["model.safetensors"]
        if self.error is not None:
            raise self.error
        return [self.names]

    def reset_prefix_cache(self) -> bool:
        self.calls.append("reset_prefix_cache")
        return self.idle


WANTED = Footprint({"a": ("BF16", (1,)), "b": ("BF16", (1,))}, {}, {})


def test_prefixes_are_forgotten_after_the_weights_changed(models: Path) -> None:
    engine = PretendedVllm(names=["b", "a"])
    swap_weights(engine, models / "tiny-fc-250", WANTED)
    assert engine.calls == ["swap_weights", "reset_prefix_cache"]


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        pytest.param(PretendedVllm(names=["a"]), "changed while", id="a tensor was not read"),
        pytest.param(PretendedVllm(names=["a", "b"], idle=False), "in use", id="requests are running"),
        pytest.param(PretendedVllm(names=[], error=AssertionError("shape")), "AssertionError: shape", id="vLLM fails"),
    ],
)
def test_engine_is_lost_when_a_swap_is_not_whole(models: Path, engine: PretendedVllm, reason: str) -> None:
    with pytest.raises(EngineLost, match=reason):
        swap_weights(engine, models / "tiny-fc-250", WANTED)
