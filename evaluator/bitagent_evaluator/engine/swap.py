"""Exchange the weights of an idle engine for another checkpoint of the same footprint: a tenth of a second instead of an engine's start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitagent_evaluator.engine.compatible import Footprint
from bitagent_evaluator.engine.tensors import weight_paths

WORKER = "bitagent_evaluator.engine.swap_worker.SwapWorker"
"""What the engine's workers are extended with."""


class EngineLost(Exception):
    """A swap failed half-way: the engine holds a mixture of two models and must not answer again."""


def swap_weights(engine: Any, model_dir: Path, wanted: Footprint) -> None:
    """Give vLLM's `engine` the weights of `model_dir`. Raises EngineLost, whatever went wrong."""
    try:
        files = [str(path.resolve()) for path in weight_paths(model_dir)]
        read: list[list[str]] = engine.collective_rpc("swap_weights", args=(files,))
        if any(sorted(names) != sorted(wanted.tensors) for names in read):
            raise RuntimeError("the weight files changed while they were read")
        # Cached prefixes hold keys and values of the previous model. vLLM refuses to forget them while requests use them.
        if not engine.reset_prefix_cache():
            raise RuntimeError("the prefix cache is in use")
    except Exception as error:
        raise EngineLost(f"{type(error).__name__}: {error}"[:300]) from error
