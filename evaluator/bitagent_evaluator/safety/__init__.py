"""Is this repository safe to load, and what is it? From its file list, its small files and its weight headers; no weights, no torch.

`judge.judge` is pure over `Evidence`; `worker` runs it in the bounded child; `inspect.inspect` is what the rest of the evaluator calls.
One idea per file: `selection` (which files are ever fetched), `configuration`, `architectures/` (a file each), `quantization`,
`headers` (safetensors), `tokenizer`, `template` (where it is), `license`. `audit/` says whether a chat template answers tasks; that is no
matter of safe loading, so it is apart from the judgement. Whether a competition *wants* a model is not decided here: that is the round's
admission, a function over the facts.
"""
