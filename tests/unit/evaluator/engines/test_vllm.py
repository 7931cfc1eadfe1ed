"""When the backend keeps its engine, and when it starts another; with fake engines."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines import vllm as vllm_engine
from bitagent_evaluator.engines.memory import DeviceMemory
from bitagent_evaluator.engines.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.engines.swap import Footprint, SwapFailed, incompatibility
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.evaluation.prepared import checked_model
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault


class FakeEngine:
    """Remembers which models it had."""

    started: list[FakeEngine] = []
    fails_to_swap = False
    fails_to_load = False

    def __init__(self, model_dir: Path, plan: EnginePlan, hardware: Hardware, built_for: Footprint) -> None:
        del hardware
        if self.fails_to_load:
            raise ModelFault(Reason.MODEL_LOAD_FAILED, "size mismatch")
        self.models, self.plan, self.built_for, self.closed = [model_dir.name], plan, built_for, False
        FakeEngine.started.append(self)

    def incompatibility(self, other: Footprint) -> str:
        return incompatibility(self.built_for, other)

    def swap(self, model_dir: Path, other: Footprint) -> None:
        del other
        if self.fails_to_swap:
            raise SwapFailed("RuntimeError: half-way")
        self.models.append(model_dir.name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[FakeEngine]:
    """The engines that were started, in order."""
    monkeypatch.setattr(FakeEngine, "started", [])
    monkeypatch.setattr(vllm_engine, "VllmEngine", FakeEngine)
    monkeypatch.setattr(vllm_engine, "version", lambda _: "0")
    monkeypatch.setattr(VllmBackend, "hardware", lambda _: Hardware(0, "CPU"))
    return FakeEngine.started


config_of = functools.cache(lambda model: dict(checked_model(model).config or {}))


def start(backend: VllmBackend, model: Path, *, length: int = 100) -> Any:
    plan = plan_engine(config_of(model), EngineChoices(), Hardware(0, "CPU"), lengths=[length], max_tokens=60)
    return backend.start(model, plan)


def test_models_of_one_shape_share_an_engine(engines: list[FakeEngine], models: Path) -> None:
    backend = VllmBackend()
    kept = [start(backend, models / name) for name in ("tiny-fc-250", "tiny-fc-1200", "tiny-fc-250")]
    assert [engine.models for engine in engines] == [["tiny-fc-250", "tiny-fc-1200", "tiny-fc-250"]]
    assert all(engine is engines[0] for engine in kept) and not engines[0].closed


def test_quantised_weights_are_the_machines_trouble_where_the_engine_has_no_kernels_for_them(
    engines: list[FakeEngine], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VllmBackend, "hardware", lambda _: Hardware(0, "old CPU", quantized=False))
    with pytest.raises(InfrastructureFault, match="old CPU") as raised:
        start(VllmBackend(), models / "tiny-fc-gptq")
    assert raised.value.reason is Reason.ENGINE_FAILED and not engines
    start(VllmBackend(), models / "tiny-fc-250")
    assert len(engines) == 1


def test_another_shape_gets_a_fresh_engine_after_the_first_was_closed(
    engines: list[FakeEngine], models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backend = VllmBackend()
    for name in ("tiny-fc-250", "tiny-fc-gptq", "tiny-fc-1200"):
        start(backend, models / name)
    assert [engine.models for engine in engines] == [["tiny-fc-250"], ["tiny-fc-gptq"], ["tiny-fc-1200"]]
    assert [engine.closed for engine in engines] == [True, True, False]
    assert "quantised" in caplog.text


def test_failed_swap_ends_the_engine(
    engines: list[FakeEngine], models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeEngine, "fails_to_swap", True)
    backend = VllmBackend()
    start(backend, models / "tiny-fc-250")
    start(backend, models / "tiny-fc-1200")
    assert [(engine.models, engine.closed) for engine in engines] == [
        (["tiny-fc-250"], True),
        (["tiny-fc-1200"], False),
    ]
    assert "half-way" in caplog.text


def test_what_a_failed_load_left_is_freed_before_the_next(
    engines: list[FakeEngine], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[int] = []
    monkeypatch.setattr(vllm_engine, "free_memory", lambda: freed.append(len(engines)))
    backend = VllmBackend(several=True)
    monkeypatch.setattr(FakeEngine, "fails_to_load", True)
    with pytest.raises(ModelFault):
        start(backend, models / "tiny-fc-250")
    assert freed == []
    monkeypatch.setattr(FakeEngine, "fails_to_load", False)
    for name in ("tiny-fc-1200", "tiny-fc-gptq"):
        start(backend, models / name)
    assert freed == [0]


@pytest.mark.parametrize(("several", "started"), [(False, 2), (True, 1)], ids=["one model", "several models"])
def test_headroom_is_for_several_models(engines: list[FakeEngine], models: Path, several: bool, started: int) -> None:
    backend = VllmBackend(several=several)
    start(backend, models / "tiny-fc-250", length=100)
    start(backend, models / "tiny-fc-1200", length=101)
    assert len(engines) == started
    assert engines[0].plan.arguments["max_model_len"] == (512 if several else 160)


def test_what_does_not_fit_is_refused_before_it_is_loaded(
    engines: list[FakeEngine], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = DeviceMemory("the memory limit of this container", total=8 << 20, free=8 << 20, gpu=False)
    monkeypatch.setattr(vllm_engine, "cpu_memory", lambda: room)
    with pytest.raises(InfrastructureFault, match=r"at least 0\.\d\d GiB of the memory limit"):
        start(VllmBackend(), models / "tiny-fc-250")
    assert engines == []


def test_a_swap_takes_no_memory(engines: list[FakeEngine], models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = VllmBackend()
    start(backend, models / "tiny-fc-250")
    monkeypatch.setattr(vllm_engine, "cpu_memory", lambda: DeviceMemory("x", total=1, free=0, gpu=False))
    start(backend, models / "tiny-fc-1200")
    assert len(engines) == 1
