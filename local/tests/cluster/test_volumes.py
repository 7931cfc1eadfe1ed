"""PersistentVolumes for one claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.volumes import manifest


@pytest.mark.parametrize("modes", [("ReadOnlyMany",), ("ReadWriteMany", "ReadWriteOnce")], ids=str)
def test_a_volume_is_for_one_claim(modes: tuple[str, ...]) -> None:
    made = manifest("data", path=Path("/x"), size="1Gi", modes=modes, namespace="ns", claim="c")
    assert made["spec"]["claimRef"] == {"namespace": "ns", "name": "c"}
    assert made["spec"]["storageClassName"] == ""
    assert made["spec"]["accessModes"] == list(modes)
