"""`leaderboard [ROUND]`: the ranking of a round."""

from __future__ import annotations

import argparse

from bitagent_cli.connection import Failure, connected, get
from bitagent_cli.objects.rows import condition, last_round, leaderboard, ranked
from bitagent_cli.output import documents
from bitagent_cli.output.tables import cell, lines
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_cli.verbs.lists import read
from bitagent_kube.resources import ROUNDS


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show a ranking. Raises Failure if there is no round that has one."""
    async with connected(options) as client:
        if options.round:
            obj = await get(client, ROUNDS, options.round)
        else:
            found = last_round(await read(client, ROUNDS), competition=options.competition or "")
            if found is None:
                of = f" of competition {options.competition}" if options.competition else ""
                raise Failure(f"no round{of} in namespace {client.namespace} has results yet")
            obj = found
    status, name = obj.get("status") or {}, obj["metadata"]["name"]
    if options.output in ("json", "yaml"):
        results = [dict(result) for result in ranked(status.get("results") or [])]
        document = {"round": name, "phase": status.get("phase"), "taskSet": status.get("taskSet"), "results": results}
        documents.write(terminal, document, options.output)
        return Exit.DONE
    tasks = (status.get("taskSet") or {}).get("count")
    head = f"{name}: {status.get('phase') or 'Pending'}, {tasks if tasks is not None else 'no'} tasks"
    if condition(status, "Complete").get("status") != "True":
        head += f"; not final, {status.get('progress') or '0/0'} are done"
    terminal.line(cell(head))
    for line in lines(leaderboard(obj).narrow(wide=options.output == "wide"), terminal):
        terminal.line(line)
    return Exit.DONE
