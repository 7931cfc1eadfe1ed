"""The live screen: progress until the weights are on the chain, then the results and further commands."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live

from bitagent_local.demo.view import (
    World,
    condition,
    finished_round,
    hotkeys,
    leaderboard,
    models_table,
    name_of,
    screen,
    validator_line,
    weights_table,
)

KINDS = "minermodels.bitagent.io,evalrounds.bitagent.io,validators.bitagent.io,jobs.batch"
NEXT = """Where to look next
  kubectl get mm,er,val -n {namespace}                     the three kinds (KUBECONFIG={kubeconfig})
  kubectl describe er -n {namespace}                       a round: conditions, events, every result
  kubectl explain mm.spec                                  the contract, field by field
  kubectl logs -n {namespace} deploy/bitagent-validator-{validator}      log of the validator
  make demo-status      this screen at any time            make demo-down      removes what the demo made
"""


def look(kubectl: str, namespace: str) -> World:
    """List all objects once. Raises CalledProcessError if the API server does not answer."""
    out = subprocess.run(
        [kubectl, "get", KINDS, "-n", namespace, "-o", "json"], capture_output=True, text=True, check=True
    ).stdout
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in json.loads(out)["items"]:
        by_kind.setdefault(item["kind"], []).append(item)
    return World(
        models=by_kind.get("MinerModel", ()),
        rounds=by_kind.get("EvalRound", ()),
        validators=by_kind.get("Validator", ()),
        jobs=by_kind.get("Job", ()),
    )


def weights_on_chain(kubectl: str) -> list[dict[str, Any]]:
    """Read the weights with the SDK from inside the chain's pod, which works on any cluster."""
    show = ["python3", "-m", "bitagent_local.chain", "show-weights", "--endpoint", "ws://127.0.0.1:9944", "--json"]
    command = [kubectl, "exec", "-n", "bitagent-world", "deploy/chain", "--", *show]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def done(world: World) -> bool:
    """Whether the validator reports a complete round's weights as set."""
    complete = finished_round(world)
    if complete is None:
        return False
    return any(
        name_of(complete) in v.get("status", {}).get("lastWeights", {}).get("rounds", ()) for v in world.validators
    )


def failed(world: World) -> str | None:
    """Return the message of a failed round, unless another one completed."""
    broken = [condition(r, "Failed") for r in world.rounds]
    messages = [str(c["message"]) for c in broken if c["status"] == "True"]
    return messages[0] if messages and finished_round(world) is None else None


def follow(console: Console, kubectl: str, namespace: str, seconds: float) -> World:
    """Show the screen until the weights are set. Raises TimeoutError, or RuntimeError if the round failed."""
    pace, deadline = threading.Event(), time.monotonic() + seconds
    world = look(kubectl, namespace)
    with Live(screen(world), console=console, refresh_per_second=2, transient=True) as live:
        while not done(world):
            if why := failed(world):
                raise RuntimeError(f"the round failed: {why}")
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"no weights within {seconds:.0f} s; 'kubectl describe er,val -n {namespace}' shows the state"
                )
            pace.wait(1.0)
            world = look(kubectl, namespace)
            live.update(screen(world))
    return world


def results(console: Console, world: World, kubectl: str, namespace: str, kubeconfig: str) -> None:
    """Print models, leaderboard, weights, and further commands."""
    console.print(models_table(world))
    complete = finished_round(world)
    if complete is not None:
        console.print(leaderboard(complete))
        console.print(weights_table(weights_on_chain(kubectl), hotkeys(world)))
    console.print(validator_line(world))
    validator = name_of(world.validators[0]) if world.validators else "NAME"
    console.print(NEXT.format(namespace=namespace, kubeconfig=kubeconfig, validator=validator), highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Print the state; `--follow SECONDS` waits for the weights first, `--round NAME` prints one leaderboard alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", default="bitagent")
    parser.add_argument("--follow", type=float, default=0.0)
    parser.add_argument("--round", action="append", default=[], help="show only this round's leaderboard")
    args = parser.parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        if args.follow:
            world = follow(console, args.kubectl, args.namespace, args.follow)
        else:
            world = look(args.kubectl, args.namespace)
        if args.round:
            for found in (r for name in args.round for r in world.rounds if name_of(r) == name):
                console.print(leaderboard(found))
            return 0
        results(console, world, args.kubectl, args.namespace, args.kubeconfig)
    except (TimeoutError, RuntimeError) as error:
        console.print(f"[red]{error}")
        return 1
    except subprocess.CalledProcessError as error:
        console.print(f"[red]{error.cmd[0]} {error.cmd[1]} failed: {error.stderr.strip()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
