"""A fleet repository made of `examples/gitops`, for the tests of Flux and Argo CD."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bitagent_local.cluster.git_server import GitRepository

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

Obj = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/gitops"
VALIDATORS = ["alpha", "beta", "gamma"]
SECOND = "second"
"""The id of the competition that a commit adds."""
PAST = "2026-01-01T00:00:00Z"


@dataclass
class Fleet:
    """The repository, and the namespace that it is applied to."""

    world: World
    repository: GitRepository

    @classmethod
    def create(cls, world: World, repository: GitRepository, *folders: str) -> Fleet:
        """Commit folders of the example, with the namespace of the test."""
        made = cls(world, repository)
        files = {
            str(path.relative_to(EXAMPLES)): made.text(path.relative_to(EXAMPLES))
            for folder in folders
            for path in sorted((EXAMPLES / folder).rglob("*.yaml"))
        }
        repository.commit("the example", files)
        return made

    def text(self, name: Path | str) -> str:
        """An example's text, for the namespace and the repository of the test."""
        text = (EXAMPLES / name).read_text()
        text = text.replace("namespace: bitagent\n", f"namespace: {self.world.namespace}\n")
        text = text.replace("namespace: bitagent}", f"namespace: {self.world.namespace}}}")
        text = text.replace("repo: Qwen/Qwen3-0.6B", "repo: org/m-500")  # its score, to the kubelet's double
        return text.replace("https://git.example.org/fleet.git", self.repository.url)

    def objects(self, name: str) -> list[Obj]:
        """The objects of an example's file."""
        return [each for each in yaml.safe_load_all(self.text(name)) if each]

    def edit(self, message: str, name: str, change: Callable[[Obj], None]) -> str:
        """Change one object of a file of the repository and commit it."""
        obj = yaml.safe_load(self.repository.read(name))
        change(obj)
        return self.repository.commit(message, {name: yaml.safe_dump(obj, sort_keys=False)})

    def add_competition(self) -> None:
        """Commit a second competition, which shares the pay with the first."""

        def change(obj: Obj) -> None:
            first = obj["spec"]["competitions"][0]
            first["rewardShare"] = 60
            round_ = {"models": {"matchLabels": {"competition": SECOND}}, "tasks": first["round"]["tasks"]}
            added = {"id": SECOND, "rewardShare": 40, "schedule": {"everyBlocks": 7200}, "round": round_}
            obj["spec"]["competitions"].append(added)

        self.edit("a second competition", "fleet/competitions.yaml", change)

    def validators(self) -> dict[str, Obj]:
        """The Validators of the namespace by name."""
        return {each["metadata"]["name"]: each for each in self.world.all("validators")}

    def competitions(self) -> list[list[str]]:
        """The ids of the competitions of each Validator."""
        return [[c["id"] for c in each["spec"]["competitions"]] for each in self.validators().values()]

    def write_status(self, plural: str, name: str, ready: str, reason: str, *, stalled: str = "") -> None:
        """Write the conditions of an object as its controller does, of its present generation."""
        generation = self.world.get(plural, name)["metadata"]["generation"]
        conditions = [condition("Ready", ready, reason)]
        if stalled:
            conditions.append(condition("Stalled", "True", stalled))
        status = {"observedGeneration": generation, "conditions": conditions}
        self.world.api.merge(self.world.path(plural, name) + "/status", {"status": status})


def condition(kind: str, status: str, reason: str) -> Obj:
    """A condition."""
    return {"type": kind, "status": status, "reason": reason, "message": "of a test", "lastTransitionTime": PAST}


def spec_writers(obj: Obj) -> set[str]:
    """The managers that own any part of an object but its status."""
    return {
        each["manager"]
        for each in obj["metadata"]["managedFields"]
        if each.get("subresource") != "status" and set(each["fieldsV1"]) - {"f:status"}
    }


def nothing_moves(read: Callable[[], dict[str, Obj]], *, seconds: float) -> None:
    """Check that no generation changes for some seconds, of which an engine uses each to compare and apply again."""
    before = {name: each["metadata"]["generation"] for name, each in read().items()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        after = {name: each["metadata"]["generation"] for name, each in read().items()}
        assert after == before
        time.sleep(0.5)
