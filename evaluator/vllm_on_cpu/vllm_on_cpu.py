"""vLLM plugin for CPU environments: ask the kernel for AMX tile state.

Without it vLLM's bfloat16 attention dies with SIGILL on processors that have AMX. On others the call does nothing.
"""


def init() -> None:
    """Entry point `vllm.general_plugins`: runs once in every vLLM process."""
    import torch

    torch.cpu._init_amx()
