"""Metadata, references and times."""

from __future__ import annotations

from datetime import UTC, datetime

from bitagent_kube.objects import ObjectMeta, ObjectReference, micro_time, owner_uid, parse_time

METADATA = {"name": "n", "uid": "u", "resourceVersion": "12", "creationTimestamp": "2026-01-01T00:00:00Z"}


def test_metadata_of_the_barest_object() -> None:
    meta = ObjectMeta.parse({"metadata": METADATA})
    assert (meta.name, meta.uid, meta.version, meta.generation) == ("n", "u", 12, 0)
    assert (meta.deleting, meta.labels, meta.owner_uid) == (False, {}, "")
    assert meta.created == datetime(2026, 1, 1, tzinfo=UTC)


def test_metadata_of_an_owned_object_that_is_being_deleted() -> None:
    owners = [{"uid": "other"}, {"uid": "mine", "controller": True}]
    more = {
        "ownerReferences": owners,
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "generation": 3,
        "labels": {"a": "b"},
    }
    meta = ObjectMeta.parse({"metadata": METADATA | more})
    assert (meta.owner_uid, meta.deleting, meta.generation, meta.labels) == ("mine", True, 3, {"a": "b"})


def test_only_a_controller_owns() -> None:
    assert owner_uid({"metadata": {"ownerReferences": [{"uid": "other"}]}}) == ""
    assert owner_uid({"metadata": {"ownerReferences": None}}) == ""


def test_times_to_the_second_and_to_the_microsecond() -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert micro_time(moment) == "2026-01-01T12:00:00.123456Z"
    assert parse_time(micro_time(moment)) == moment.replace(microsecond=0)
    assert parse_time(None) is None
    assert parse_time("") is None


def test_a_reference_as_the_api_writes_it() -> None:
    reference = ObjectReference("v1", "Pod", "ns", "p", "u")
    assert reference.to_wire()["namespace"] == "ns"
    assert reference.as_owner() == {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
