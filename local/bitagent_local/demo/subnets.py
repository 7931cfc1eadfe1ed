"""The third part of the demo: the mechanisms of real subnets, each on a chain of its own (examples/subnets).

They run beside the demo's validator, or without it: the same operator and hub, one more chain and Validator for each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo.emission import Emission
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import (
    MANIFESTS,
    MODELS,
    NAMESPACE,
    ROOT,
    WORLD_NAMESPACE,
    Stack,
    hotkey_secret,
    task_file,
)

EXAMPLES = ROOT / "examples" / "subnets"
PAYING_EPOCHS = 3
"""Epochs with emission for miners that are shown at least."""
WAIT_SECONDS = 900


@dataclass(frozen=True)
class Commitment:
    """What a miner commits to after the chain has begun."""

    hotkey: str
    """A development URI."""
    text: str


@dataclass(frozen=True)
class DemoMiner:
    """A miner that answers validators."""

    name: str
    """Its hotkey is the development key of this name."""
    model: str
    """The repository that it submits."""
    skill: int
    """Of a hundred questions, those that it can answer itself."""
    old: bool = False
    """Whether it knows the old wire only."""


@dataclass(frozen=True)
class DemoSubnet:
    """One example: its folder has the same name, and so has its Validator."""

    name: str
    title: str
    competitions: tuple[str, ...]
    later: tuple[Commitment, ...] = ()
    miners: tuple[DemoMiner, ...] = ()

    @property
    def chain(self) -> str:
        """The name of its chain's Deployment, Service and ConfigMap."""
        return f"chain-{self.name}"

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return EXAMPLES / self.name


# The weights of //acme, in another repository and later.
COPY = Commitment("//fork", "echo:tiny-fc-1200-copy:e20e79ceaeb9cb08b317dab72cf4c1714c8a8138:None:o1")
NOUS = DemoSubnet("nous", "Nous: two competitions by loss, 60 and 40 percent", ("o1", "h1"), later=(COPY,))
BITAGENT = DemoSubnet(
    "bitagent",
    "BitAgent: half by models, half by answers",
    ("tools",),
    miners=(
        DemoMiner("acme", "acme/tiny-fc-1200", 90),
        DemoMiner("blue", "blue/tiny-fc-600", 75),
        DemoMiner("coral", "delta/tiny-fc-250", 95),
        # A model of other tasks: rounds give it nothing.
        DemoMiner("delta", "sense/tiny-sense", 95),
        DemoMiner("ellis", "coral/tiny-fc-400", 60, old=True),
    ),
)
SUBNETS = (NOUS, BITAGENT)
TASKS = MODELS / "tasks.jsonl"
AXON_PORT = 8091


def install_chain(stack: Stack, subnet: DemoSubnet, *, image: str) -> None:
    """Run the subnet's chain, and wait until it answers; later commitments are made then."""
    seed = stack.kubectl.run(
        "create", "configmap", f"{subnet.chain}-seed", "-n", WORLD_NAMESPACE, "--dry-run=client", "-o", "yaml",
        f"--from-file=chain.yaml={subnet.folder / 'chain.yaml'}",
    )  # fmt: skip
    stack.kubectl.apply(seed)
    manifest = Template((MANIFESTS / "chain.yaml").read_text())
    stack.kubectl.apply(manifest.safe_substitute(WORLD_IMAGE=image, NAME=subnet.chain))
    stack.kubectl.run("rollout", "status", f"deploy/{subnet.chain}", "-n", WORLD_NAMESPACE, "--timeout=120s")
    for commitment in subnet.later:
        admin(stack, subnet, "neurons", f"hotkey={commitment.hotkey}", f"commitment={commitment.text}")


def install_miners(stack: Stack, subnet: DemoSubnet, scratch: Path, *, world: str, miner: str) -> None:
    """Run the subnet's miners, and wait until they listen; the address of one of the old wire is written for it.

    `world` and `miner` are images.
    """
    if not subnet.miners:
        return
    endpoint = Template((MANIFESTS / "miners.yaml").read_text())
    stack.kubectl.apply(endpoint.safe_substitute(WORLD_IMAGE=world))
    manifest = Template((MANIFESTS / "miner.yaml").read_text())
    for each in subnet.miners:
        secret = hotkey_secret(stack, f"//{each.name}", scratch, name=f"miner-{each.name}", namespace=WORLD_NAMESPACE)
        stack.kubectl.apply(secret)
        arguments = json.dumps(arguments_of(subnet, each))
        image = world if each.old else miner
        stack.kubectl.apply(manifest.substitute(NAME=each.name, IMAGE=image, ARGUMENTS=arguments, CHAIN=subnet.chain))
    for each in subnet.miners:
        name = f"miner-{each.name}"
        stack.kubectl.run("rollout", "status", f"deploy/{name}", "-n", WORLD_NAMESPACE, "--timeout=120s")
        if each.old:
            pods = stack.kubectl.get("pods", "-n", WORLD_NAMESPACE, "-l", f"app.kubernetes.io/name={name}")["items"]
            address = next(pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"])
            admin(stack, subnet, "neurons", f"hotkey=//{each.name}", f"axon={address}:{AXON_PORT}")


def arguments_of(subnet: DemoSubnet, miner: DemoMiner) -> list[str]:
    """Return the arguments of a miner's container."""
    if miner.old:
        program = ["bitagent_local.endpoint.old_axon", "--tasks=/opt/world/models/tasks.jsonl"]
        return [*program, f"--uri=//{miner.name}", f"--model={miner.model}", f"--skill={miner.skill}"]
    netuid = netuid_of(subnet)
    chain = f"ws://{subnet.chain}.{WORLD_NAMESPACE}:9944"
    model = f"http://answers.{WORLD_NAMESPACE}:8000/v1"
    asked = [f"--model-url={model}", f"--model=skill-{miner.skill}", f"--submit={miner.model}"]
    return ["serve", f"--netuid={netuid}", f"--chain-endpoint={chain}", *asked, "--rate=600"]


def netuid_of(subnet: DemoSubnet) -> int:
    """Return the subnet's number, as its chain has it. Without a YAML package here, it is found by its line."""
    lines = (subnet.folder / "chain.yaml").read_text().splitlines()
    return next(int(line.removeprefix("netuid:")) for line in lines if line.startswith("netuid:"))


def apply_objects(stack: Stack, subnet: DemoSubnet, scratch: Path) -> None:
    """Apply the validator's hotkey, the tasks and the subnet's objects."""
    if subnet is BITAGENT:
        stack.kubectl.apply(task_file(stack, f"{subnet.name}-tasks", TASKS))
    stack.kubectl.apply(hotkey_secret(stack, f"//{subnet.name}-validator", scratch, name=f"{subnet.name}-hotkey"))
    for file in sorted(subnet.folder.glob("*.yaml")):
        if file.name != "chain.yaml":
            stack.kubectl.apply(file.read_text())


def admin(stack: Stack, subnet: DemoSubnet, *words: str) -> Any:
    """Return the answer of the chain's admin, asked from inside its pod, which works on any cluster."""
    command = ("exec", "-n", WORLD_NAMESPACE, f"deploy/{subnet.chain}", "--", "python3", "-m", "bitagent_local.chain")
    return json.loads(stack.kubectl.run(*command, "admin", *words))


def miners(stack: Stack, subnet: DemoSubnet) -> dict[str, str]:
    """Return the repositories of the subnet's submissions by hotkey."""
    found = stack.kubectl.get("minermodels", "-n", NAMESPACE, "-l", f"subnet={subnet.name}")["items"]
    return {
        item["spec"]["miner"]["hotkey"]: item["spec"]["source"].get("huggingFace", {}).get("repo", "")
        for item in found
        if "miner" in item["spec"]
    }


def watch(stack: Stack, subnet: DemoSubnet) -> Emission:
    """Observe the chain until all competitions are paid, and emission followed for some epochs.

    Raises ClusterError, with what the Validator says about itself, if that takes too long.
    """
    emission = Emission()
    since = 0

    def look() -> bool:
        nonlocal since
        emission.observe(admin(stack, subnet, "state"))
        # Not the owner's hotkey, to which goes what no miner has earned.
        paying = emission.paying(miners(stack, subnet))
        since = since or (paying if all_paid(stack, subnet) else 0)
        return bool(since) and paying >= since + PAYING_EPOCHS

    try:
        wait_until(look, seconds=WAIT_SECONDS, what=f"emission on subnet {subnet.name}", pace=3.0)
    except ClusterError as error:
        raise ClusterError(f"{error}; {'; '.join(problems(stack, subnet))}") from error
    return emission


def status_of(stack: Stack, subnet: DemoSubnet) -> Any:
    """Return the status of the subnet's Validator."""
    return stack.kubectl.get("validator", subnet.name, "-n", NAMESPACE).get("status", {})


def problems(stack: Stack, subnet: DemoSubnet) -> list[str]:
    """Return what the subnet's Validator says to be wrong."""
    conditions = status_of(stack, subnet).get("conditions", ())
    return [f"{c['type']}: {c['reason']}: {c['message']}" for c in conditions if c["status"] != "True"]


def all_paid(stack: Stack, subnet: DemoSubnet) -> bool:
    """Whether the row on the chain rests on a round of each competition, and on answers where miners are asked."""
    status = status_of(stack, subnet)
    rounds = status.get("lastWeights", {}).get("rounds", ())
    paid = all(any(name.startswith(f"{subnet.name}-{c}-") for name in rounds) for c in subnet.competitions)
    asked = not subnet.miners or any(online.get("block") for online in status.get("online", ()))
    return paid and asked
