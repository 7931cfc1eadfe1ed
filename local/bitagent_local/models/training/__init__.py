"""Training of the models and generation of the task files under ``local/models``; no running service needs this.

Two families of models. ``tiny-fc-*`` are of graded skill: ``samples`` draws their questions and writes the held-out
ones as a task file, ``train_graded`` trains them. ``tiny-memo``, ``tiny-sense`` and ``tiny-rewriter`` memorise, read
and reword one benchmark: ``subjects`` defines its functions and questions, ``benchmark`` writes it as a task file,
``lessons`` holds the form of training examples, ``generators`` draws them, ``tokenizer`` and ``batches`` turn them into
tensors, ``copy_heads`` initialises attention heads that copy, and ``train_benchmark`` trains. ``qwen2`` holds what both
families share.

Torch and transformers are needed from ``qwen2`` upwards; the task files are written without them.
"""
