"""A model hub on one machine: the endpoints that huggingface_hub and vLLM call, over folders on disk.

``repository`` is what a repository is on disk and what its revisions mean, ``answers`` turns a request into an answer
(pure, apart from reading files), ``faults`` is what a test may break, ``server`` is HTTP, ``pack`` builds the folders out
of ``local/models`` and ``local/datasets``. No uploads, no accounts, no spaces, no search.
"""
