"""What pods do."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_cli.explanation.pods import container_names, pod_row, started


def pod(status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    spec = {"nodeName": "n", "initContainers": [{"name": "i"}], "containers": [{"name": "c"}]}
    return {"metadata": {"name": "p"} | meta, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("status", "phase", "words"),
    [
        pytest.param({}, "Pending", "", id="new"),
        pytest.param(
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
                ]
            },
            "Pending",
            "Unschedulable: no GPU",
            id="no node",
        ),
        pytest.param(
            {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            "Pending",
            "c: ErrImagePull no",
            id="image",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}],
            },
            "Failed",
            "c: exit code 137 OOMKilled",
            id="ended",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "disk"}, "Failed", "Evicted disk", id="evicted"
        ),
    ],
)
def test_rows(status: dict[str, Any], phase: str, words: str) -> None:
    assert pod_row(pod(status)) == ["p", "", "n", phase, words]


def test_a_pod_that_is_being_deleted() -> None:
    assert pod_row(pod({"phase": "Running"}, deletionTimestamp="x"))[3] == "is being deleted"


def test_containers_with_a_log() -> None:
    seen = pod({"containerStatuses": [{"name": "c", "state": {"running": {}}}]})
    assert container_names(seen) == ["i", "c"]
    assert (started(seen, "c"), started(seen, "i")) == (True, False)
