"""A model hub on one machine: the endpoints that huggingface_hub and vLLM call, over folders on disk.

``repository`` holds repositories on disk and resolves revisions, ``answers`` turns a request into an answer (pure,
apart from reading files), ``faults`` are failures that a test switches on, ``server`` is HTTP, ``pack`` builds the
folders from ``local/models`` and ``local/datasets``. There are no uploads, accounts, spaces or search.
"""
