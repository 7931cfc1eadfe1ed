"""Token ids in, token ids out: vLLM inside this process, the same code on a GPU and on a CPU.

`interface` is what a run needs of an engine; `plan` decides its arguments (pure); `view` gives it a model directory that holds only what was
checked; `tensors` reads weight headers; `finite` looks for weights that are no numbers; `memory` says before a load whether a model fits
(pure), `memory_room` how much there is; `invariance` decides on batch-invariant mode; `preload` sets the environment and imports vLLM while
other work goes on; `vllm_engine` drives it; `failures` tells a model's fault from the machine's. `prompt_losses` measures given text.

A model may take a running engine over: `compatible` decides whether (pure), `swap` does it, `swap_worker` is the part of it inside vLLM.
Nothing here tokenizes or renders.
"""
