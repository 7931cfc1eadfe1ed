"""MinerModels of commitments: from the chain to the API server, through restarts and changes of who is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_local.chain import keys

pytestmark = pytest.mark.integration

COMMIT, OTHER = "c" * 40, "d" * 40
DISCOVERED = "app.kubernetes.io/managed-by"


def models(world: Any) -> dict[str, dict[str, Any]]:
    """The MinerModels that discovery made, by repository."""
    items = world.plane.api.get(world.at("minermodels"))["items"]
    made = [i for i in items if i["metadata"].get("labels", {}).get(DISCOVERED) == "bitagent-discovery"]
    return {i["spec"]["source"]["huggingFace"]["repo"]: i for i in made}


def version(model: dict[str, Any]) -> tuple[str, str]:
    return model["metadata"]["uid"], model["metadata"]["resourceVersion"]


def commit(world: Any, name: str, text: str) -> None:
    world.chain.post("neurons", hotkey=f"//{name}", commitment=text)


def test_commitments_become_models_and_go_with_their_hotkeys(
    start_world: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """Three hotkeys commit, one of them nonsense; a restart; one commits to another model; one loses its slot."""
    world = start_world(discovery={"commitments": {"labels": {"submitted": "chain"}}}, weights={"mode": "Off"})
    by_hand = {i["metadata"]["name"]: version(i) for i in world.plane.api.get(world.at("minermodels"))["items"]}
    commit(world, "a", f"a:tools:{COMMIT}:hash:fc")
    commit(world, "b", "\x00 gm {")
    commit(world, "c", f"c/tools@{COMMIT}")
    process = world.start()

    eventually(lambda: set(models(world)) == {"a/tools", "c/tools"}, what="two models are discovered")
    first = models(world)["a/tools"]
    assert (
        first["metadata"]["labels"].items()
        >= {
            "submitted": "chain",
            "bitagent.io/validator": "val",
            "bitagent.io/competition": "fc",
            "bitagent.io/hotkey": keys.address("//a"),
            "bitagent.io/uid": "1",
        }.items()
    )
    block = first["spec"]["miner"]["commitBlock"]
    assert first["spec"]["miner"]["hotkey"] == keys.address("//a")
    assert block > 0
    assert {m["manager"] for m in first["metadata"]["managedFields"]} == {"bitagent-discovery"}
    assert first["metadata"]["ownerReferences"][0]["uid"] == world.validator()["metadata"]["uid"]
    status = eventually(lambda: world.validator()["status"]["discovery"], what="discovery is reported")
    assert (status["models"], status["ignoredCount"]) == (2, 1)
    assert [(i["hotkey"], i["reason"]) for i in status["ignored"]] == [(keys.address("//b"), "Malformed")]

    world.stop(process)
    written = {repo: version(model) for repo, model in models(world).items()}
    commit(world, "a", f"a:tools:{COMMIT}:hash:fc")
    commit(world, "b", f'{{"model": "b/tools", "revision": "{COMMIT}"}}')
    world.start("pod-2")
    eventually(lambda: "b/tools" in models(world), what="a commitment that was corrected is discovered")
    found = models(world)
    assert {repo: version(found[repo]) for repo in written} == written, "the same content again writes nothing"
    assert found["a/tools"]["spec"]["miner"]["commitBlock"] == block, "the block of the first sight"
    assert found["b/tools"]["spec"]["miner"]["commitBlock"] > block
    eventually(
        lambda: (
            world.validator()["status"]["discovery"].items() >= {"models": 3, "ignoredCount": 0, "ignored": []}.items()
        ),
        what="the report follows",
    )

    commit(world, "a", f"a:better:{OTHER}:hash:fc")
    eventually(lambda: set(models(world)) == {"a/better", "b/tools", "c/tools"}, what="the submission is replaced")
    better = models(world)["a/better"]
    assert better["metadata"]["name"] != first["metadata"]["name"]
    assert better["spec"]["miner"]["commitBlock"] > block

    world.chain.post("replace", hotkey="//c", by={"hotkey": "//new"})
    eventually(lambda: set(models(world)) == {"a/better", "b/tools"}, what="a lost slot has no model")
    commit(world, "new", f"new/tools@{COMMIT}")
    eventually(lambda: "new/tools" in models(world), what="the new holder's own commitment is discovered")
    heir = models(world)["new/tools"]
    assert heir["metadata"]["labels"]["bitagent.io/uid"] == "3", "the slot that c had"
    assert heir["spec"]["miner"]["hotkey"] == keys.address("//new")

    now = {i["metadata"]["name"]: version(i) for i in world.plane.api.get(world.at("minermodels"))["items"]}
    assert {name: now[name] for name in by_hand} == by_hand, "models from elsewhere are left alone"


def test_without_discovery_a_validator_has_no_right_to_write_models(
    start_world: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    world = start_world(weights={"mode": "Off"})
    commit(world, "a", f"a/tools@{COMMIT}")
    world.start()
    eventually(lambda: world.condition("PassComplete")[0] == "True", what="a whole pass")
    path = world.at("validators", "val")
    world.plane.api.merge(path, {"spec": {"discovery": {"commitments": {}}}})
    eventually(
        lambda: world.condition("PassComplete") == ("False", "PartFailed"), what="the lack of rights is reported"
    )
    conditions = world.validator()["status"]["conditions"]
    assert "minermodels" in next(each["message"] for each in conditions if each["type"] == "PassComplete")
    assert models(world) == {}
    world.wait_round()


def test_the_hash_of_a_commitment_is_claimed_corrected_and_withdrawn(
    start_world: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """With `verifyHash`; a corrected hash is the same submission, and without it nothing is claimed any more."""
    world = start_world(discovery={"commitments": {"verifyHash": True}}, weights={"mode": "Off"})
    right, wrong = "k2oYXKqiZrucvpgengXLeM1zKwsygOuURBK7b4+PB68=", "A" * 43 + "="
    commit(world, "a", f"a:tools:{COMMIT}:{wrong}:fc")
    commit(world, "b", f"b:tools:{COMMIT}:hash:fc")
    commit(world, "c", f"c/tools@{COMMIT}")
    world.start()

    eventually(lambda: set(models(world)) == {"a/tools", "c/tools"}, what="two models are discovered")
    first = models(world)["a/tools"]
    assert first["spec"]["miner"]["commitmentHash"] == wrong
    assert "commitmentHash" not in models(world)["c/tools"]["spec"]["miner"], "its form has none"
    status = eventually(lambda: world.validator()["status"]["discovery"], what="discovery is reported")
    assert [(i["hotkey"], i["reason"]) for i in status["ignored"]] == [(keys.address("//b"), "Malformed")]

    def claimed(repo: str) -> str | None:
        found = models(world)
        return found[repo]["spec"]["miner"].get("commitmentHash") if repo in found else None

    commit(world, "a", f"a:tools:{COMMIT}:{right}:fc")
    commit(world, "b", f"b:tools:{COMMIT}:{right}:fc")
    eventually(lambda: claimed("a/tools") == claimed("b/tools") == right, what="both claim the right hash")
    corrected = models(world)["a/tools"]
    assert corrected["metadata"]["uid"] == first["metadata"]["uid"], "the same submission"
    assert corrected["spec"]["miner"]["commitBlock"] == first["spec"]["miner"]["commitBlock"], "from its first sight"

    world.plane.api.merge(
        world.at("validators", "val"), {"spec": {"discovery": {"commitments": {"verifyHash": False}}}}
    )
    eventually(lambda: claimed("a/tools") is None and claimed("b/tools") is None, what="nothing is claimed")
    withdrawn = models(world)["a/tools"]["metadata"]
    assert (withdrawn["uid"], withdrawn["generation"]) == (first["metadata"]["uid"], 3)
