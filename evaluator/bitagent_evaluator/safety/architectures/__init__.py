"""Architectures that are evaluated: for each the tensors that a checkpoint must have, computed from its configuration.

One file per architecture registers itself in `registry`; `dense` holds what decoder-only transformers share. An architecture is added only
when its tensor list is certain: a missing layer that an engine fills with noise must not pass.
"""
