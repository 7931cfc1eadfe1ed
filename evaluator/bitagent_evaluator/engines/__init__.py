"""Backends that run a model: vLLM in this process, and OpenAI-compatible endpoints.

    base                   the interface of backends and engines: token ids in, token ids out; causes of failures
    vllm                   vLLM, driven step by step
    plan                   the engine's arguments (pure)
    memory                 whether a model fits into memory, before it is loaded
    preload                the import of vLLM in a thread, its environment, batch-invariant mode
    gpu_access             what is missing where a build for GPUs finds none
    losses                 losses of given text by vLLM's log-probabilities
    server, stall          the rewriter's server: its arguments (pure); whether its engine still works
    swap, swap_worker      exchange of a running engine's weights; `swap_worker` runs inside vLLM
    openai                 a client of OpenAI-compatible endpoints, which render and tokenize themselves
    openai_replies         their replies; `openai_streams` joins streamed ones
    openai_errors          what follows from an error; `openai_dialects`: how a server is asked after a refusal

Nothing here tokenizes or renders. Importing a module here does not import vLLM or torch, except `swap_worker`.
"""
