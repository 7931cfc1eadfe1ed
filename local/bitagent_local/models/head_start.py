"""A head start in copying: weights under which a new model already continues a text that it has seen before.

Copying an unknown name needs two attention heads that work together, one that tells every token what stood before it and one that looks
for the place where the present token stood before another. Finding the pair is what takes small models longest, thousands of steps in
which they learn nothing else; here they begin with it. All else is random.

For the algebra let `e` be a token's embedding and A, B, C random maps to a head's width that have nothing in common.
Layer 0: one head looks one token back and writes B'A e(previous), one looks two back and writes C'A e(the one before).
Layer 1: query A x and key B x, so the product is large where the token before was like the present one; a second head compares the token
before the present one as well (query B x, key C x). What they find there they write down as it is.
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
LOOK, COMPARE, WRITE, COPY = 9.0, 2.0, 0.6, 0.6


def give(model: Any) -> None:
    """Overwrite some weights of a new model of at least two layers."""
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    read, *written = _maps(first, 3)
    copied = _maps(first, 2)
    steady = torch.arange(HEAD_WIDTH) % PAIRS >= FIRST_STEADY_PAIR
    even = torch.arange(HEAD_WIDTH) % 2 == 0
    with torch.no_grad():
        for head in range(2):
            dims = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            _look_back(first, dims, distance=head + 1)
            first.v_proj.weight[dims] = WRITE * read
            first.o_proj.weight[:, dims] = WRITE * written[head].T
            # The second head spends half of its width on the token before: the present one may occur more than once.
            one, two = ((steady & use).unsqueeze(1) for use in (even | (head == 0), ~even & (head == 1)))
            second.q_proj.weight[dims] = COMPARE * (one * read + two * written[0])
            second.k_proj.weight[dims] = COMPARE * (one * written[0] + two * written[1])
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
