"""`retry ROUND`: raise `spec.retry` of a failed round."""

from __future__ import annotations

import argparse

from bitagent_cli.connection import Failure, connected, get
from bitagent_cli.objects.rows import condition
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_cli.verbs.waiting import wait
from bitagent_kube.objects import Obj
from bitagent_kube.resources import ROUNDS


def next_retry(obj: Obj, *, force: bool = False) -> int:
    """Return the value of `spec.retry` that takes a round up again. Raises Failure if there is nothing to do."""
    spec, status, name = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]["name"]
    asked, done = int(spec.get("retry") or 0), int(status.get("retry") or 0)
    failed = condition(status, "Failed").get("status") == "True"
    if asked > done:
        raise Failure(f"EvalRound {name} is to be taken up again already: spec.retry is {asked}")
    if not failed and not force:
        phase = status.get("phase") or "Pending"
        raise Failure(f"EvalRound {name} has not failed, it is {phase}; with --force the retry counts when it fails")
    return done + 1


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Take a round up again; with `--wait` return 3 if it fails again."""
    async with connected(options) as client:
        obj = await get(client, ROUNDS, options.round)
        retry = next_retry(obj, force=options.force)
        version = obj["metadata"]["resourceVersion"]
        # The version keeps two people from raising it twice.
        changed = await client.merge(
            ROUNDS, options.round, {"metadata": {"resourceVersion": version}, "spec": {"retry": retry}}
        )
        if changed is None:
            raise Failure(f"EvalRound {options.round} was deleted")
        terminal.line(f"EvalRound {options.round} is taken up again: retry {retry}")
        if not options.wait:
            return Exit.DONE
        since = int(changed["metadata"].get("generation") or 0)
        end = await wait(client, ROUNDS, options.round, terminal, seconds=options.timeout, since=since)
    terminal.say(f"EvalRound {options.round}: {end.reason}: {end.message}".rstrip(": "))
    return Exit.DONE if end.good else Exit.NEGATIVE
