"""The claim of a model's own volume: models of one commit become its owners, whatever happens to it meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.names import CACHE_LABEL
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.plan.inputs import ModelVolume
from bitagent_operator.plan.interface import VolumePlan
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.volume_list import list_volumes
from bitagent_operator.reconcilers.volumes import prepare_volume

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
ID = "0123456789ab"
KEY = Key(Kind.MODEL, "a")
OWNER = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "name": "a", "uid": "uid-a", "controller": True}
JOB = {"metadata": {"name": "a-fetch", "ownerReferences": [OWNER]}}
OTHER = {"kind": "MinerModel", "name": "b", "uid": "uid-b"}


class Claims:
    """An API server with claims; `changes`: writes of others that come before ours."""

    def __init__(self, make: Make, *claims: Obj, changes: int = 0, goes: bool = False) -> None:
        self.clock = make.pass_(now=0)
        self.claims = {claim["metadata"]["name"]: claim for claim in claims}
        self.changes, self.goes, self.deleted = changes, goes, list[str]()

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        name = obj["metadata"]["name"]
        if name in self.claims:
            return self.claims[name], False
        self.claims[name] = obj | {"metadata": obj["metadata"] | {"resourceVersion": "1", "uid": "made"}}
        return self.claims[name], True

    async def merge(self, _resource: Any, name: str, change: Obj) -> Obj | None:
        if self.goes:
            self.goes = False
            del self.claims[name]
            return None
        if self.changes:
            self.changes -= 1
            raise ApiError(code=409, reason="Conflict", message="the object has been modified")
        self.claims[name]["metadata"] |= change["metadata"]
        return self.claims[name]

    async def delete(self, _resource: Any, name: str, *, uid: str) -> None:
        assert self.claims.pop(name)["metadata"]["uid"] == uid
        self.deleted.append(name)

    async def list(self, _resource: Any, *, labels: str) -> list[Obj]:
        assert labels
        return list(self.claims.values())


def claim(make: Make, **more: Any) -> Obj:
    meta = make.meta(f"bitagent-model-{ID}", labels={CACHE_LABEL: ID}, ownerReferences=[OTHER]) | more
    return {"metadata": meta, "spec": {}}


def operator(make: Make, claims: Claims) -> Context:
    config = make.config(cache={"mode": "VolumePerModel"})

    class Clocked(Context):
        def now(self) -> Any:
            return make.at(0)

    return Clocked(config, Cache(), cast(Client, claims), cast(Any, None), Metrics(), lambda _keys: None)


async def prepare(
    make: Make, claims: Claims, *delete: ModelVolume, metrics: Metrics | None = None
) -> tuple[bool, list[str], Reason | None]:
    """Whether it was refused, the owners of the claim, and the reason of the refusal."""
    context = replace(operator(make, claims), metrics=metrics or Metrics())
    refused = await prepare_volume(context, KEY, VolumePlan(ID, 1 << 30, delete), JOB)
    found = claims.claims.get(f"bitagent-model-{ID}")
    owners = [each["uid"] for each in found["metadata"]["ownerReferences"]] if found is not None else []
    refusal = context.refusals.of(KEY, owner="uid-a").get("a-fetch")
    return refused is not None, owners, refusal.reason if refusal is not None else None


async def test_a_claim_is_made(make: Make) -> None:
    assert await prepare(make, Claims(make)) == (False, ["uid-a"], None)


@pytest.mark.parametrize(
    ("trouble", "refused", "owners"),
    [
        pytest.param({}, False, ["uid-b", "uid-a"], id="one owner more"),
        pytest.param({"changes": 3}, False, ["uid-b", "uid-a"], id="it is bound meanwhile"),
        pytest.param({"goes": True}, False, ["uid-a"], id="it goes meanwhile"),
        pytest.param({"changes": 9}, True, ["uid-b"], id="it changes all the time"),
    ],
)
async def test_models_of_one_commit_share_it(
    make: Make, trouble: dict[str, Any], refused: bool, owners: list[str]
) -> None:
    reason = Reason.JOB_REFUSED if refused else None
    assert await prepare(make, Claims(make, claim(make), **trouble)) == (refused, owners, reason)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"deletionTimestamp": "2026-01-01T00:00:00Z"}, id="it is being deleted"),
        pytest.param({"labels": {}}, id="of somebody else"),
    ],
)
async def test_a_claim_that_cannot_be_used_is_a_refusal(make: Make, more: Obj) -> None:
    assert await prepare(make, Claims(make, claim(make, **more))) == (True, ["uid-b"], Reason.JOB_REFUSED)


async def test_a_claim_whose_volume_is_gone_is_made_again(make: Make) -> None:
    claims = Claims(make, claim(make) | {"status": {"phase": "Lost"}})
    (found,) = await list_volumes(cast(Client, claims))
    assert found.lost
    metrics = Metrics()
    assert await prepare(make, claims, found, metrics=metrics) == (False, ["uid-a"], None)
    assert claims.deleted == [found.name]
    assert metrics.registry.get_sample_value("bitagent_operator_model_volumes_deleted_total") == 1
    (found,) = await list_volumes(cast(Client, claims))
    assert not found.lost
