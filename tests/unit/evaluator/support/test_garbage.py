"""Rare garbage collections, while a block runs."""

from __future__ import annotations

import gc

import pytest

from bitagent_evaluator.support.garbage import rare_collections


def test_collections_are_rare_in_the_block_only() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > 10 * before[0]
    assert gc.get_threshold() == before


def test_an_error_ends_it_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError), rare_collections():
        raise ValueError
    assert gc.get_threshold() == before
