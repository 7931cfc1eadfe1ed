"""Building images from the command line: `python3 -m bitagent_local.images push operator validator`."""

from __future__ import annotations

import argparse
import sys
import time

from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.up import require_root

from .base import ensure_base
from .build import build_image, build_unless_pushed, ensure_image
from .store import Store


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bitagent_local.images", description="The images of images/images.yaml."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("base", help="make the base image, if it is not there")
    command.set_defaults(run=_base)
    verbs = {
        "build": ("build", build_image),
        "prepare": ("build, unless the node's registry has them,", build_unless_pushed),
        "push": ("build and push to the node's registry", ensure_image),
    }
    for name, (what, run) in verbs.items():
        command = commands.add_parser(
            name, help=f"{what} the named images, where they changed; prints their references"
        )
        command.add_argument("names", nargs="+", metavar="NAME")
        command.add_argument("--quiet", action="store_true", help="show a build's output only if it fails")
        command.set_defaults(run=_images, make=run)
    options = parser.parse_args(arguments)
    try:
        require_root()
        options.run(options)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _base(_options: argparse.Namespace) -> None:
    print(ensure_base(Store(Node().cache)))


def _images(options: argparse.Namespace) -> None:
    from .catalogue import spec_of  # Only here is a package needed.

    for name in options.names:
        began = time.monotonic()
        print(options.make(Node(), spec_of(name), show=not options.quiet), flush=True)
        print(f"  {name} in {time.monotonic() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
