"""`completion SHELL`: print the script."""

from __future__ import annotations

import argparse

from bitagent_cli.completion import SCRIPTS
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Print the script of a shell."""
    terminal.out.write(SCRIPTS[options.shell])
    return Exit.DONE
