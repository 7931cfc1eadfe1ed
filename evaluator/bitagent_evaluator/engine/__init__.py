"""Token ids in, token ids out: vLLM inside this process, the same code on a GPU and on a CPU.

`interface` is what a run needs of an engine; `plan` decides its arguments (pure); `view` gives it a model directory that holds only what was
checked; `finite` looks for weights that are no numbers; `preload` sets the environment and imports vLLM while other work goes on;
`vllm_engine` drives it; `failures` tells a model's fault from the machine's. Nothing here tokenizes or renders.
"""
