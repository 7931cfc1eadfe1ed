"""Attention heads that copy (induction heads), as initial weights: a new model continues a text that occurred before.

Copying an unknown name needs two attention heads that work together: one that writes to every token which token
preceded it, and one that looks for the place where the present token preceded another. Small models need thousands of
steps to find this pair, in which they learn nothing else; here they begin with it. All other weights are random.

For the algebra let `e` be a token's embedding and A, B, C, D random maps to a head's width with orthogonal results.
Layer 0: heads look one, two and three tokens back and write B'A e, C'A e and D'A e of the token found there. Layer 1:
query A x and key B x, so the product is large where the preceding token equals the present one. A second head compares
one token more (query B x, key C x), a third two more: in strings of few characters the present token alone does not
identify the place. They write the token that they find, unchanged.
"""

from __future__ import annotations

from typing import Any

import torch

from bitagent_local.models.training.qwen2 import HEAD_WIDTH

ROTATION_BASE = 1e6
"""Base of the rotary embedding; high, so that most pairs of dimensions hardly rotate and can compare contents."""
PAIRS = HEAD_WIDTH // 2
FIRST_STEADY_PAIR = 7
"""Number of the first pair of dimensions that hardly rotates."""
HEADS = 3
"""Heads that are set in each of the first two layers."""
LOOK, COMPARE, WRITE, COPY = 9.0, 2.0, 0.6, 0.6
"""Scales of the weights that look back, compare, write, and copy."""


def set_copy_heads(model: Any) -> None:
    """Overwrite some weights of a new model of at least two layers."""
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    read, *written = _maps(first, 1 + HEADS)
    copied = _maps(first, HEADS)
    steady = torch.arange(HEAD_WIDTH) % PAIRS >= FIRST_STEADY_PAIR
    with torch.no_grad():
        for head in range(HEADS):
            dims = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            _look_back(first, dims, distance=head + 1)
            first.v_proj.weight[dims] = WRITE * read
            first.o_proj.weight[:, dims] = WRITE * written[head].T
            # Each head compares one token more than the one before it, and shares its width among them.
            query, key = torch.zeros_like(read), torch.zeros_like(read)
            for place, (query_map, key_map) in enumerate(zip((read, *written), written[: head + 1], strict=False)):
                share = (steady & (torch.arange(HEAD_WIDTH) % (head + 1) == place)).unsqueeze(1)
                query += share * query_map
                key += share * key_map
            second.q_proj.weight[dims], second.k_proj.weight[dims] = COMPARE * query, COMPARE * key
            second.v_proj.weight[dims] = COPY * copied[head]
            second.o_proj.weight[:, dims] = COPY * copied[head].T


def _maps(attention: Any, count: int) -> tuple[Any, ...]:
    """Draw maps to a head's width whose results are orthogonal."""
    width = attention.q_proj.weight.shape[1]
    maps: tuple[Any, ...] = torch.linalg.qr(torch.randn(width, count * HEAD_WIDTH))[0].T.split(HEAD_WIDTH)
    return maps


def _look_back(attention: Any, dims: slice, *, distance: int) -> None:
    """Set query and key to constants, rotated against each other so that their product is largest at this distance."""
    angle = distance * ROTATION_BASE ** (-torch.arange(PAIRS) / PAIRS)
    for projection, rotation in ((attention.q_proj, torch.zeros(PAIRS)), (attention.k_proj, angle)):
        projection.weight[dims] = 0
        projection.bias[dims] = LOOK * torch.cat([rotation.cos(), rotation.sin()])
