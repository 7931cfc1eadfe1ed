"""Entry point of `bitagent` and `kubectl bitagent`: a verb's module is imported when it is used."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bitagent_cli.parser import VERBS, Exit, build

if TYPE_CHECKING:
    import argparse

    from bitagent_cli.output.terminal import Terminal

PLUGIN = "kubectl-bitagent"
COMPLETE = "__complete"
"""Verb of completion scripts; it is in no help."""

Run = Callable[["argparse.Namespace", "Terminal"], Awaitable[int]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code, see `Exit`."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_plugin = argv is None and Path(sys.argv[0]).name == PLUGIN
    if words and words[0] == COMPLETE:
        return _complete(words[1:])
    parser = build("kubectl bitagent" if as_plugin else "bitagent")
    options = parser.parse_args(words)
    if options.version:
        from importlib.metadata import version

        sys.stdout.write(f"bitagent {version('bitagent')}\n")
        return Exit.DONE
    if options.verb is None:
        parser.print_help()
        return Exit.USAGE
    return _run(options, f"{parser.prog} {options.verb}")


def _run(options: argparse.Namespace, name: str) -> int:
    """Run a verb; `name` is how it was called, for messages."""
    from bitagent_cli.output.terminal import standard

    terminal = standard()
    try:
        run: Run = importlib.import_module(f"bitagent_cli.verbs.{VERBS[options.verb].module}").run
    except ImportError as error:
        terminal.say(f"{name}: {error}; install bitagent with its extra `cli` (docs/commands.md)")
        return Exit.FAILED
    from bitagent_cli.connection import Failure, UsageFailure
    from bitagent_kube.errors import ApiError

    try:
        code = asyncio.run(_as_coroutine(run, options, terminal))
        terminal.out.flush()  # what is left in the buffer may fail, too
        return code
    except (Failure, ApiError) as error:
        terminal.say(f"{name}: {error}")
        if isinstance(error, UsageFailure):
            return Exit.USAGE
    except BrokenPipeError:  # the reader, such as head, has enough
        terminal.discard()
    except OSError as error:
        terminal.say(f"{name}: {error}")
        terminal.discard()
    except KeyboardInterrupt:
        terminal.say(f"{name}: stopped")
    return Exit.FAILED


async def _as_coroutine(run: Run, options: argparse.Namespace, terminal: Terminal) -> int:
    return await run(options, terminal)


def _complete(words: Sequence[str]) -> int:
    from bitagent_cli.completion import candidates, names_of

    found = candidates(build(), words)
    names = asyncio.run(names_of(found.kind, words)) if found.kind else []
    last = words[-1] if words else ""
    for word in [*found.words, *(found.prefix + name for name in names)]:
        if word.startswith(last):
            sys.stdout.write(f"{word}\n")
    sys.stdout.write(":4\n")  # of kubectl's protocol: no names of files
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
