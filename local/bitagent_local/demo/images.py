"""The images that the demo builds and pushes, and the smoke test of every Dockerfile.

The builder, `bitagent_local.images`, runs in the environment's Python: the list of images is YAML.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitagent_local.cluster.node import Node
from bitagent_local.demo.phases import Phases
from bitagent_local.demo.toolchain import PYTHON, ROOT
from bitagent_local.images.build import run_in_image
from bitagent_local.images.smoke import SMOKE

ROLES = {
    "operator": "operator",
    "validator": "validator",
    "evaluator": "evaluator-thin",
    "leaderboard": "leaderboard",
    "world": "world",
}
"""Image of each role on the local node: the evaluator's large environment comes from a volume (images/README.md)."""

MINERS = {"miner": "miner"}
"""Further images of `make demo-subnets`."""


def _images(phases: Phases, title: str, verb: str, names: list[str]) -> dict[str, str]:
    with phases.phase(title) as phase:
        out = phase.run([PYTHON, "-m", "bitagent_local.images", verb, "--quiet", *names], cwd=ROOT)
    return dict(zip(names, out.split(), strict=True))


def build_all(phases: Phases, roles: Sequence[str] = tuple(ROLES)) -> dict[str, str]:
    """Build the images that have changed and return their references by image; no node is needed."""
    return _images(phases, "images", "prepare", [_name(role) for role in roles])


def push_all(
    phases: Phases, roles: Sequence[str] = tuple(ROLES), *, title: str = "images to the registry"
) -> dict[str, str]:
    """Push the images that the node's registry lacks and return their references by role."""
    pushed = _images(phases, title, "push", [_name(role) for role in roles])
    return {role: pushed[_name(role)] for role in roles}


def _name(role: str) -> str:
    return {**ROLES, **MINERS}[role]


def build_and_smoke(phases: Phases) -> int:
    """Build every image that a machine without a GPU can run, and run one command in each."""
    built = _images(phases, "all images", "build", list(SMOKE))
    for name, command in SMOKE.items():
        with phases.phase(f"smoke test of {name}"):
            run_in_image(Node(), built[name], command)
    return 0
