"""Models: from a repository's name to verified files in the model cache, and what is read of them there.

source      a resolved revision, the interface of model sources, local directories; `hub` has hub repositories
preflight   facts about a revision, and whether it is safe to load; the same for a model's owner, with advice
fetch       download and verify a model; `cache` has the cache's layout, locks, publishing and eviction
checkpoint  a model on disk: tensors by header, non-finite weights, the directory that an engine loads
digests     identities of a model and of its weights; `values` and `dequantization` read the weights as numbers
similarity  the sketch of the weights by which near copies are found; `layer_weights` has a layer's matrices for it
tokenizer_worker
            a model's chat template and tokenizer at work, in a sandbox; `prompts` asks it
validation  the safety checks
"""
