"""`doctor`: what is wrong with a cluster."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from bitagent_cli.connection import connected
from bitagent_cli.doctor.checks.all_parts import findings, with_counts, worst
from bitagent_cli.doctor.findings import Level
from bitagent_cli.doctor.reading import look, with_probes
from bitagent_cli.output import documents
from bitagent_cli.output.tables import cell, colour_of
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Look at a cluster; return 3 if something keeps rounds or weights from working."""
    async with connected(options) as client:
        seen = await look(client)
        if options.probe:
            terminal.say("three pods try what they can reach; they are removed afterwards")
            seen = await with_probes(client, seen, image=options.image, seconds=options.timeout)
        server, namespace = client.server, client.namespace
    found = findings(seen)
    if options.output:
        plain = [asdict(each) | {"area": each.area.value, "level": each.level.value} for each in found]
        documents.write(terminal, {"server": server, "namespace": namespace, "findings": plain}, options.output)
    else:
        terminal.line(cell(f"{server}, namespace {namespace}"))
        width = max(len(each.area.value) for each in found)
        for each in found:
            mark = terminal.paint(each.level.value, colour_of(each.level.value)) + " " * (7 - len(each.level.value))
            terminal.line(f"{mark}  {each.area.value.ljust(width)}  {cell(each.text)}")
            if each.do and each.level is not Level.OK:
                terminal.line(f"{' ' * (width + 11)}-> {cell(each.do)}")
        terminal.line(with_counts(found))
    return Exit.NEGATIVE if worst(found) is Level.BAD else Exit.DONE
