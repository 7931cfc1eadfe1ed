"""The verbs that print an answer and end: each returns the exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bitagent_kube.client import connect
from bitagent_kube.errors import ApiError
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.competitions.rounds import MANAGER
from bitagent_validator.explanation.doctor import examine
from bitagent_validator.explanation.explain import Computed, Explanation, as_history, compute, explain, settings_of
from bitagent_validator.policy.interface import PolicyError
from bitagent_validator.policy.replay import ReplayError, replay, write
from bitagent_validator.state.store import StateUnreadable


def replay_files(cases: Path, *, results: Path) -> int:
    """Write the result of each case of a file to another; return the exit status."""
    try:
        with cases.open(encoding="utf-8") as lines:
            written = list(write(replay(lines)))
        results.write_text("".join(written), encoding="utf-8")
    except (ReplayError, OSError, UnicodeDecodeError) as error:
        print(f"{cases}: {error}", file=sys.stderr)
        return 1
    return 0


async def print_plan(name: str, *, namespace: str, as_lines: Callable[[Iterable[Explanation]], str]) -> int:
    """Print what each hotkey would earn now; return the exit status."""
    logging.getLogger("bittensor").setLevel(logging.ERROR)
    try:
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            print(as_lines(await explain(client, name)), end="")
    except (ApiError, StateUnreadable, ChainUnavailable, PolicyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def print_row(name: str, *, namespace: str, as_lines: Callable[[Iterable[Computed]], str]) -> int:
    """Print each weight that would be set now, and what it comes from; return the exit status."""
    logging.getLogger("bittensor").setLevel(logging.ERROR)
    try:
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            print(as_lines(await compute(client, name)), end="")
    except (ApiError, StateUnreadable, ChainUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def print_history(name: str, *, namespace: str) -> int:
    """Print the last settings; return the exit status."""
    try:
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            print(as_history(await settings_of(client, name)), end="")
    except (ApiError, StateUnreadable) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def print_findings(name: str, *, namespace: str, hotkey_file: Path | None, endpoints_file: Path) -> int:
    """Print what was checked, and what is wrong; return 1 if anything is."""
    logging.disable(logging.CRITICAL)
    try:
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            found = await examine(client, name, hotkey_file=hotkey_file, endpoints_file=endpoints_file)
    except ApiError as error:
        print(error, file=sys.stderr)
        return 1
    for finding in found:
        print(f"{'ok     ' if finding.good else 'PROBLEM'} {finding.text}")
    return 0 if all(finding.good for finding in found) else 1
