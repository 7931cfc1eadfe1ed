"""Five windows of the benchmark of faults, on each kind of subnet: its own 50 are in docs/validating.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks.weight_windows.faults import FAULTS, Step
from benchmarks.weight_windows.judgement import run_windows
from benchmarks.weight_windows.world import Kind

if TYPE_CHECKING:
    from bitagent_local.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration

CHOSEN = {
    Kind.PLAIN: [("killed", Step.BLOCK), ("reorg, transaction lost", Step.BLOCK), ("garbage: cut", Step.PENDING)],
    Kind.SEALED: [("503 at the handshake", Step.COMPLETE), ("killed", Step.FINAL)],
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_window_is_hit_once(plane: ControlPlane, tmp_path: Path, kind: Kind) -> None:
    by_name = {(fault.name, step): (fault, step) for fault in FAULTS for step in fault.steps}
    faults = [by_name[chosen] for chosen in CHOSEN[kind]]
    report = run_windows(plane.api, plane.kubeconfig, kind=kind, faults=faults, seed="1", folder=tmp_path)
    assert [window.blocks is not None for window in report.windows] == [True] * len(faults)
    assert [window.double for window in report.windows] == [0] * len(faults)
    assert [window.from_partial for window in report.windows] == [0] * len(faults)
    assert (report.connections, report.left, report.left_connections) == (1, 0, 0)
