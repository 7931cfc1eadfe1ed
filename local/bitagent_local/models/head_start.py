"""A head start in copying: weights under which a new model already continues a text that it has seen before.

Copying an unknown name needs two attention heads that work together, one that tells every token what stood before it and one that looks
for the place where the present token stood before another. Finding the pair is what takes small models longest, thousands of steps in
which they learn nothing else; here they begin with it. All else is random.

For the algebra let `e` be a token's embedding and A, B, C, D random maps to a head's width that have nothing in common.
Layer 0: heads look one, two and three tokens back and write B'A e, C'A e and D'A e of what is there.
Layer 1: query A x and key B x, so the product is large where the token before was like the present one. A second head compares one token
more (query B x, key C x), a third two more: in strings of few characters the present one alone does not tell the place. What they find
there they write down as it is.
"""

from __future__ import annotations

from typing import Any

import torch

from bitagent_local.models.train import HEAD_WIDTH

ROTATION_BASE = 1e6
"""Of the rotary embedding: high, so that most pairs of dimensions hardly turn within a prompt and can compare contents."""
PAIRS = HEAD_WIDTH // 2
FIRST_STEADY_PAIR = 7
"""Number of the first pair of dimensions that hardly turns."""
HEADS = 3
"""Of each of the two layers, of those that a model has."""
LOOK, COMPARE, WRITE, COPY = 9.0, 2.0, 0.6, 0.6
"""How strongly heads look back, compare, and write down what they found."""


def give(model: Any) -> None:
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
            for place, (asked, found) in enumerate(zip((read, *written), written[: head + 1], strict=False)):
                share = (steady & (torch.arange(HEAD_WIDTH) % (head + 1) == place)).unsqueeze(1)
                query += share * asked
                key += share * found
            second.q_proj.weight[dims], second.k_proj.weight[dims] = COMPARE * query, COMPARE * key
            second.v_proj.weight[dims] = COPY * copied[head]
            second.o_proj.weight[:, dims] = COPY * copied[head].T


def _maps(attention: Any, count: int) -> tuple[Any, ...]:
    """Random maps to a head's width whose results have nothing in common."""
    width = attention.q_proj.weight.shape[1]
    maps: tuple[Any, ...] = torch.linalg.qr(torch.randn(width, count * HEAD_WIDTH))[0].T.split(HEAD_WIDTH)
    return maps


def _look_back(attention: Any, dims: slice, *, distance: int) -> None:
    """Query and key become constants that are turned against each other by so many places: their product is largest there."""
    angle = distance * ROTATION_BASE ** (-torch.arange(PAIRS) / PAIRS)
    for projection, turned in ((attention.q_proj, torch.zeros(PAIRS)), (attention.k_proj, angle)):
        projection.weight[dims] = 0
        projection.bias[dims] = LOOK * torch.cat([turned.cos(), turned.sin()])
