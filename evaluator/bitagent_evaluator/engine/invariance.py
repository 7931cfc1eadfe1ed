"""Batch-invariant mode: kernels whose results do not depend on which other requests are computed at the same time.

With it a greedy answer on one GPU is the same in any order and with any other prompts around it, also in 16-bit formats. It exists in vLLM
for NVIDIA GPUs of compute capability 8.0 and up, costs some throughput, and is chosen by an environment variable that vLLM reads while it
is imported.
"""

from __future__ import annotations

VARIABLE = "VLLM_BATCH_INVARIANT"
LEAST_CAPABILITY = (8, 0)


def batch_invariant(capability: tuple[int, int] | None, setting: str | None) -> bool:
    """Whether to use the mode: wherever it exists, unless the environment's own `setting` of the variable is 0.

    `capability` is that of the least capable NVIDIA GPU; None on anything else.
    """
    return capability is not None and capability >= LEAST_CAPABILITY and setting != "0"
