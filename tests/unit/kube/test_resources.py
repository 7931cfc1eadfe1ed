"""Where objects are served."""

from __future__ import annotations

import pytest

from bitagent_crds.generate import KINDS
from bitagent_kube.resources import CORE_EVENTS, EVENTS, JOBS, PODS, resource_of


def test_paths_of_core_and_other_groups() -> None:
    assert PODS.path("ns") == "/api/v1/namespaces/ns/pods"
    assert JOBS.path("ns", "j", "status") == "/apis/batch/v1/namespaces/ns/jobs/j/status"
    assert (PODS.group, JOBS.group, JOBS.version) == ("", "batch", "v1")


@pytest.mark.parametrize("kind", KINDS)
def test_our_kinds_are_found_by_what_their_objects_say(kind: type) -> None:
    found = resource_of("bitagent.io/v1alpha1", kind.crd.kind)  # type: ignore[attr-defined]
    assert found.plural == kind.crd.plural  # type: ignore[attr-defined]


def test_events_of_two_groups_are_told_apart() -> None:
    assert resource_of("v1", "Event") is CORE_EVENTS
    assert resource_of("events.k8s.io/v1", "Event") is EVENTS


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        resource_of("v1", "Secret")
