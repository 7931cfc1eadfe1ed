"""Command line of the local node: `python3 -m bitagent_local.cluster up` with `local` on PYTHONPATH."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bitagent_local.cluster import down, up, volumes
from bitagent_local.cluster.api import Api
from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_local.cluster.deps import install_packages, missing_packages
from bitagent_local.cluster.host import ClusterError, exclusive
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.status import inspect


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 3 (of `status`) not up."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(Node(), options)
        return status
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m bitagent_local.cluster", description="A real one-node Kubernetes on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="start the node, or repair it; returns at once if it is healthy (root)")
    command.add_argument("--gpus", type=int, default=up.GPUS, help="number of nvidia.com/gpu on the node (%(default)s)")
    command.set_defaults(run=_up)

    command = commands.add_parser("down", help="remove the node with all its pods and volumes; the cache stays (root)")
    command.set_defaults(run=_down)

    command = commands.add_parser("status", help="print whether the node is healthy; exit status 3 if not")
    command.add_argument("--json", action="store_true", help="as JSON, with addresses and folders")
    command.set_defaults(run=_status)

    command = commands.add_parser("leftovers", help="list what exists of the node; exit status 3 if anything does")
    command.set_defaults(run=_leftovers)

    command = commands.add_parser("deps", help="install the Debian packages that are missing (root)")
    command.add_argument("--check", action="store_true", help="only list them; exit status 3 if any is missing")
    command.set_defaults(run=_deps)

    command = commands.add_parser("build", help="build the binaries, unless the cache has them")
    command.set_defaults(run=_build)

    command = commands.add_parser("volume", help="create a volume for the claim of that name")
    command.add_argument("name", help="name of the PersistentVolume")
    command.add_argument("--namespace", default="default", help="namespace of the claim (%(default)s)")
    command.add_argument("--claim", help="name of the claim, if it is another")
    command.add_argument("--path", type=Path, help="an existing folder; by default one below the node's state")
    command.add_argument("--size", default="10Gi", help="capacity (%(default)s); not enforced")
    command.add_argument(
        "--mode", action="append", choices=volumes.MODES, help="access mode, repeatable; by default all"
    )
    command.set_defaults(run=_volume)
    return parser


def _up(node: Node, options: argparse.Namespace) -> int:
    up.bring_up(node, gpus=options.gpus, report=lambda line: print(line, flush=True))
    return 0


def _down(node: Node, _options: argparse.Namespace) -> int:
    up.require_root()
    with exclusive(node.lock):
        phases = up.Stopwatch(lambda line: print(line, flush=True))
        with phases("tear down"):
            down.tear_down(node)
    return 0


def _status(node: Node, options: argparse.Namespace) -> int:
    found = inspect(node)
    if options.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print(f"node: {found.summary}")
        for name, value in {"gpus": found.gpus, **found.places}.items() if found.healthy else ():
            print(f"  {name:<12} {value}")
    return 0 if found.healthy else 3


def _leftovers(node: Node, _options: argparse.Namespace) -> int:
    found = down.leftovers(node)
    print("\n".join(found) or "nothing")
    return 3 if found else 0


def _deps(_node: Node, options: argparse.Namespace) -> int:
    if options.check:
        missing = missing_packages()
        print(" ".join(missing) or "nothing is missing")
        return 3 if missing else 0
    up.require_root()
    print("installed: " + (" ".join(install_packages()) or "nothing, all packages are installed"))
    return 0


def _build(_node: Node, _options: argparse.Namespace) -> int:
    print(ensure_binaries().folder)
    return 0


def _volume(node: Node, options: argparse.Namespace) -> int:
    folder = volumes.ensure_volume(
        node,
        Api.from_kubeconfig(node.own_kubeconfig),
        options.name,
        namespace=options.namespace,
        claim=options.claim,
        path=options.path,
        size=options.size,
        modes=tuple(options.mode or volumes.MODES),
    )
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
