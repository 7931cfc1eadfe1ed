"""`cache.mode: VolumePerModel` on a real kubelet: a claim is fetched to, evaluated from, and given up."""

from __future__ import annotations

import pytest
from kit import result
from volumes import CLASS, FIRST, ModelVolumes

pytestmark = pytest.mark.e2e


def test_a_model_is_fetched_to_its_own_volume(model_volumes: ModelVolumes) -> None:
    claim = model_volumes.claim
    assert (claim["spec"]["storageClassName"], claim["status"]["phase"]) == (CLASS, "Bound")
    assert claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "local"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= model_volumes.files


def test_it_is_evaluated_from_it(model_volumes: ModelVolumes) -> None:
    found = result(model_volumes.round, FIRST)
    assert (found["state"], found["reason"]) == ("ModelFault", "NonFiniteWeights"), "its weights were read"
    assert not model_volumes.writable


def test_its_claim_is_deleted_to_make_room(model_volumes: ModelVolumes) -> None:
    assert model_volumes.evicted
