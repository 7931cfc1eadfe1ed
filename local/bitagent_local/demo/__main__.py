"""Command line of the demo: `python3 -m bitagent_local.demo VERB`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bitagent_local.cluster.down import tear_down
from bitagent_local.cluster.gitops import built_flux
from bitagent_local.cluster.host import ClusterError, exclusive
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.up import bring_up
from bitagent_local.demo import altered, fleet, images, page, queries, removal, stack, subnets, toolchain
from bitagent_local.demo.emission import plot
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.phases import Phases

FOLLOW_SECONDS = 900
VERBS = ("up", "down", "status", "altered", "subnets", "fleet", "world", "images", "toolchain")


def up(phases: Phases) -> int:
    """Bring everything up, then show the live screen until the weights are on the chain."""
    began = time.monotonic()
    foreign = toolchain.foreign_kubeconfig()
    installed = local_world(phases) if foreign is None else foreign_world(phases, foreign)
    print(f"\n  the system is up after {time.monotonic() - began:.1f} s; its first round:\n", flush=True)
    status = show(installed, follow=True)
    print(f"  in all {time.monotonic() - began:.1f} s\n", flush=True)
    print(page.lines(installed, local=foreign is None), flush=True)
    return status


def local_world(phases: Phases) -> stack.Stack:
    """Bring up the local node, build and push images, install the system and the demo's objects."""
    made, _ = local_system(phases, tuple(images.ROLES))
    apply_demo(phases, made)
    return made


def local_system(phases: Phases, roles: Sequence[str]) -> tuple[stack.Stack, dict[str, str]]:
    """Bring up the local node, build and push images, install the system; return the images' references by role."""
    made, references = local_cluster(phases, roles)
    with phases.phase("volumes"):
        stack.prepare_volumes(Node())
    install(phases, made, references, values=stack.EXAMPLES / "values-local.yaml")
    return made, references


def local_cluster(phases: Phases, roles: Sequence[str]) -> tuple[stack.Stack, dict[str, str]]:
    """Bring up the local node, build and push the images of these roles; return their references by role."""
    toolchain.packages(phases)
    # Side by side: the Go build takes the longest on a new machine; images need only the base and pip.
    phases.together(
        lambda: toolchain.binaries(phases),
        lambda: environment_and_images(phases, roles),
    )
    node = Node()
    with phases.phase("local Kubernetes") as phase, phase.log.open("a") as log:
        bring_up(node, report=lambda line: print(line, file=log, flush=True))
    references = images.push_all(phases, roles)
    tools = toolchain.tools()
    return stack.Stack(Kubectl(tools.kubectl, node.kubeconfig), tools.helm, toolchain.PYTHON), references


def environment_and_images(phases: Phases, roles: Sequence[str]) -> None:
    """Make the environment, then the images: their builder runs in it."""
    toolchain.environment(phases)
    images.build_all(phases, roles)


def foreign_world(phases: Phases, kubeconfig: Path) -> stack.Stack:
    """Install the system and the demo's objects on the user's own cluster."""
    made, _ = foreign_system(phases, kubeconfig)
    apply_demo(phases, made)
    return made


def foreign_system(phases: Phases, kubeconfig: Path) -> tuple[stack.Stack, dict[str, str]]:
    """Install the system on the user's own cluster, from the registry that BITAGENT_IMAGES names."""
    made, references = foreign_cluster(phases, kubeconfig)
    removal.refuse_namespaces_of_others(made.kubectl)
    install(phases, made, references, values=stack.EXAMPLES / "values-cluster.yaml")
    return made, references


def foreign_cluster(phases: Phases, kubeconfig: Path) -> tuple[stack.Stack, dict[str, str]]:
    """Return the user's own cluster, and the references of the images in its registry by role."""
    registry = os.environ.get("BITAGENT_IMAGES", "")
    if not registry:
        raise ClusterError(
            "KUBECONFIG is set: set BITAGENT_IMAGES too, to the registry that your cluster pulls from "
            "(README, 'Your own cluster')"
        )
    toolchain.environment(phases)
    toolchain.binaries(phases)
    tag = os.environ.get("BITAGENT_TAG", "latest")
    names = {**images.ROLES, **images.MINERS, "evaluator": "evaluator-cpu"}
    return foreign_stack(kubeconfig), {role: f"{registry}/{name}:{tag}" for role, name in names.items()}


def foreign_stack(kubeconfig: Path) -> stack.Stack:
    """Return the user's own cluster, with the user's own tools where there are any."""
    tools = toolchain.tools()
    kubectl = Kubectl(toolchain.user_tool("kubectl", tools.kubectl), kubeconfig)
    return stack.Stack(kubectl, toolchain.user_tool("helm", tools.helm), toolchain.PYTHON)


def world(phases: Phases) -> int:
    """Bring up the simulated chain and the model hub without the product, on the local node or the user's cluster."""
    foreign = toolchain.foreign_kubeconfig()
    if foreign is None:
        made, references = local_cluster(phases, ["world"])
    else:
        made, references = foreign_cluster(phases, foreign)
        removal.refuse_namespaces_of_others(made.kubectl)
    with phases.phase("simulated chain and hub"):
        stack.install_world(made, image=references["world"])
    print(f"  chain: ws://chain.{stack.WORLD_NAMESPACE}:9944    hub: http://hub.{stack.WORLD_NAMESPACE}:8080")
    print(f"  KUBECONFIG={made.kubectl.kubeconfig}")
    return 0


def install(phases: Phases, made: stack.Stack, references: dict[str, str], *, values: Path) -> None:
    """Install world and chart: the same on every cluster."""
    world = references["world"]
    product = {name: reference for name, reference in references.items() if name not in ("world", *images.MINERS)}

    def chain_and_hub() -> None:
        with phases.phase("simulated chain and hub"):
            stack.install_world(made, image=world)

    def operator() -> None:
        with phases.phase("helm install"):
            others = removal.another_release_has_the_definitions(made.kubectl)
            extra = {"crds.install": "false"} if others else {}
            stack.install_operator(made, product, values=values, extra=extra)

    phases.together(chain_and_hub, operator)


def apply_demo(phases: Phases, made: stack.Stack) -> None:
    """Apply the demo's objects, and wait for the operator."""
    with phases.phase("models, validator"), tempfile.TemporaryDirectory() as scratch:
        stack.apply_demo(made, Path(scratch))
    with phases.phase("operator ready"):
        stack.wait_operator(made)


def show(made: stack.Stack, *, follow: bool, rounds: Sequence[str] = ()) -> int:
    """Run the live screen in the environment's Python; with `rounds`, print only their leaderboards."""
    command = [str(made.python), "-m", "bitagent_local.demo.show", "--kubectl", str(made.kubectl.binary)]
    command += ["--kubeconfig", str(made.kubectl.kubeconfig)]
    if follow:
        command += ["--follow", str(FOLLOW_SECONDS)]
    command += [f"--round={name}" for name in rounds]
    return subprocess.run(command, env=made.kubectl.environment(), check=False).returncode


def existing() -> stack.Stack:
    """Return the stack of the running demo. Raises ClusterError if there is none."""
    foreign = toolchain.foreign_kubeconfig()
    if foreign is not None:
        return foreign_stack(foreign)
    kubeconfig = Node().kubeconfig
    if not kubeconfig.exists():
        raise ClusterError("the demo is not running; 'make demo' starts it")
    tools = toolchain.tools()
    return stack.Stack(Kubectl(tools.kubectl, kubeconfig), tools.helm, toolchain.PYTHON)


def state() -> int:
    """Show the state of the running demo, and where its page is."""
    made = existing()
    status = show(made, follow=False)
    print(page.lines(made, local=toolchain.foreign_kubeconfig() is None, seconds=1), flush=True)
    return status


def add_altered(phases: Phases) -> int:
    """Add the rewriter and two rounds (examples/altered) to a running demo, and show their leaderboards."""
    made = existing()
    with phases.phase("rewriter"):
        altered.install_rewriter(made)
        altered.wait_rewriter(made)
    with phases.phase("two rounds"):
        altered.apply_rounds(made)
        altered.wait_rounds(made)
    return show(made, follow=False, rounds=altered.ROUNDS)


def add_subnets(phases: Phases) -> int:
    """Bring up the mechanisms of real subnets (examples/subnets), and show what their miners earn."""
    began = time.monotonic()
    foreign = toolchain.foreign_kubeconfig()
    roles = (*images.ROLES, *images.MINERS)
    made, references = local_system(phases, roles) if foreign is None else foreign_system(phases, foreign)
    with tempfile.TemporaryDirectory() as scratch:
        for subnet in subnets.SUBNETS:
            with phases.phase(f"subnet {subnet.name}"):
                world, miner = references["world"], references["miner"]
                subnets.install_chain(made, subnet, image=world)
                subnets.install_miners(made, subnet, Path(scratch), world=world, miner=miner)
                subnets.apply_objects(made, subnet, Path(scratch))
    with phases.phase("operator ready"):
        stack.wait_operator(made)
    for subnet in subnets.SUBNETS:
        with phases.phase(f"rounds and epochs of {subnet.name}"):
            emission = subnets.watch(made, subnet)
        print(f"\n{plot(emission, subnets.miners(made, subnet), title=subnet.title)}\n", flush=True)
    print(f"  in all {time.monotonic() - began:.1f} s; 'make demo-down' removes it\n", flush=True)
    print(page.lines(made, local=foreign is None), flush=True)
    return 0


def add_fleet(phases: Phases) -> int:
    """Bring up three Validators from a git repository (examples/fleet), and show their rounds and dashboards' data."""
    began = time.monotonic()
    if toolchain.foreign_kubeconfig() is not None:
        raise ClusterError(
            "the fleet's git server, Flux and Prometheus run beside the local node: unset KUBECONFIG; "
            "docs/gitops.md has the fleet for your own cluster"
        )
    made, references = local_system(phases, tuple(images.ROLES))
    node = Node()
    with phases.phase("chain and Secrets of the fleet"), tempfile.TemporaryDirectory() as scratch:
        fleet.install_chain(made, image=references["world"])
        fleet.apply_secrets(made, Path(scratch))
    with phases.phase("git repository"):
        repository, revision = fleet.commit(made, node)
    flux = built_flux()
    with phases.phase("Prometheus"):
        prometheus = fleet.prometheus(made, node)
    with phases.phase("operator ready"):
        stack.wait_operator(made)
    by = "kubectl" if flux is None else "Flux"
    with phases.phase(f"commit {revision[:7]} applied by {by}"):
        if flux is None:
            fleet.apply_by_kubectl(made, repository)
        else:
            fleet.apply_by_flux(made, node, flux, repository, revision)
    with phases.phase("a round of each, weights"):
        rows = fleet.wait_rounds(made, node)
    with phases.phase("queries of the dashboards"):
        answers = queries.settled(prometheus, fleet.watch_pods(made, node), round=rows[0].round)
    print(f"\n{fleet.table(rows)}\n\n{queries.table(answers)}\n", flush=True)
    print(f"Git: {repository.url}, {revision[:7]}, applied by {by}{'' if flux else ': Flux is not built here'}")
    print(f"Prometheus         {prometheus}/    (the chart's alerts: {prometheus}/alerts)")
    print(page.lines(made, local=True))
    print(f"  in all {time.monotonic() - began:.1f} s; 'make demo-down' removes it", flush=True)
    return 0


def down(phases: Phases) -> int:
    """Remove the local node with everything on it, or the demo from the user's cluster."""
    if toolchain.foreign_kubeconfig() is not None:
        made = existing()
        removal.confirm(made.kubectl)
        with phases.phase("uninstall"):
            removal.remove(made, report=lambda line: print(f"  {line}", flush=True))
        return 0
    node = Node()
    with phases.phase("tear down"), exclusive(node.lock):
        tear_down(node)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 1 failed, with a message that names step, cause and log."""
    parser = argparse.ArgumentParser(prog="python3 -m bitagent_local.demo", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    verb = parser.parse_args(argv).verb
    phases = Phases(toolchain.log_folder())
    try:
        if verb == "up":
            return up(phases)
        if verb == "down":
            return down(phases)
        if verb == "altered":
            return add_altered(phases)
        if verb == "subnets":
            return add_subnets(phases)
        if verb == "fleet":
            return add_fleet(phases)
        if verb == "world":
            return world(phases)
        if verb == "status":
            return state()
        toolchain.prepare(phases)
        return images.build_and_smoke(phases) if verb == "images" else 0
    except ClusterError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
