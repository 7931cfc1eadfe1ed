"""Command line of image builds: `python3 -m bitagent_local.images push operator validator`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.up import require_root
from bitagent_local.images.base import ensure_base
from bitagent_local.images.build import archive_image, build_image, build_unless_pushed, ensure_image
from bitagent_local.images.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bitagent_local.images", description="The images of images/images.yaml."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("base", help="make the base image, unless the store has it")
    command.set_defaults(run=_base)
    verbs = {
        "build": ("build", build_image),
        "prepare": ("build, unless the node's registry has them,", build_unless_pushed),
        "push": ("build and push to the node's registry", ensure_image),
    }
    for name, (what, run) in verbs.items():
        command = commands.add_parser(name, help=f"{what} the named images that have changed; print their references")
        command.add_argument("names", nargs="+", metavar="NAME")
        command.add_argument("--quiet", action="store_true", help="show a build's output only if it fails")
        command.set_defaults(run=_images, make=run)
    command = commands.add_parser("archive", help="write an image as an OCI archive, building it if it has changed")
    command.add_argument("name", metavar="NAME")
    command.add_argument("target", type=Path, metavar="FILE")
    command.add_argument("tag", metavar="TAG", help="name of the image in the archive, such as bitagent/operator:0.1.0")
    command.add_argument("epoch", type=int, metavar="TIME", help="time of all files, in Unix time")
    command.set_defaults(run=_archive)
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


def _archive(options: argparse.Namespace) -> None:
    from bitagent_local.images.catalogue import spec_of  # Needs PyYAML; the other commands do not.

    print(archive_image(Node(), spec_of(options.name), options.target, tag=options.tag, epoch=options.epoch))


def _images(options: argparse.Namespace) -> None:
    from bitagent_local.images.catalogue import spec_of  # Needs PyYAML; the other commands do not.

    for name in options.names:
        began = time.monotonic()
        print(options.make(Node(), spec_of(name), show=not options.quiet), flush=True)
        print(f"  {name} in {time.monotonic() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
