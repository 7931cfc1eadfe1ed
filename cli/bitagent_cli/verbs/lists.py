"""`models` and `rounds`: tables, or the objects as they are."""

from __future__ import annotations

import argparse

from bitagent_cli.connection import NO_DEFINITIONS, Failure, connected
from bitagent_cli.objects import rows
from bitagent_cli.output import documents
from bitagent_cli.output.tables import lines
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import MODELS, ROUNDS, ApiResource

_OF_VERB = {"models": (MODELS, rows.models), "rounds": (ROUNDS, rows.rounds)}


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """List models or rounds. Raises Failure if one that is named does not exist."""
    resource, table_of = _OF_VERB[options.verb]
    async with connected(options) as client:
        found = await read(client, resource, labels=options.selector, everywhere=options.all_namespaces)
        now, namespace = client.clock.now(), client.namespace
    found.sort(key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
    if options.names:
        found = _named(found, options.names, resource)
    if options.output in ("json", "yaml"):
        alone = len(options.names) == 1 and not options.all_namespaces
        document = documents.complete(found[0], resource) if alone else documents.listed(found, resource)
        documents.write(terminal, document, options.output)
    elif options.output == "name":
        for obj in found:
            terminal.line(f"{resource.plural}.{resource.group}/{obj['metadata']['name']}")
    elif not found:
        where = "any namespace" if options.all_namespaces else f"namespace {namespace}"
        other = "" if options.all_namespaces else "; another one: -n NAMESPACE, all of them: -A"
        terminal.say(f"there are no {resource.kind}s in {where}{other}")
    else:
        table = table_of(found, now=now, namespaces=options.all_namespaces).narrow(wide=options.output == "wide")
        for line in lines(table, terminal):
            terminal.line(line)
    return Exit.DONE


async def read(
    client: ClusterClient, resource: ApiResource, *, labels: str = "", everywhere: bool = False
) -> list[Obj]:
    """Return the objects of a kind. Raises Failure if the API server does not serve it."""
    try:
        if everywhere:
            return await client.items(f"{resource.path_of_version}/{resource.plural}", labels=labels)
        return await client.list(resource, labels=labels)
    except ApiError as error:
        if error.not_found:
            raise Failure(NO_DEFINITIONS) from error
        raise


def _named(found: list[Obj], names: list[str], resource: ApiResource) -> list[Obj]:
    known = {obj["metadata"]["name"] for obj in found}
    if missing := [name for name in names if name not in known]:
        raise Failure(f"there is no {resource.kind} {', '.join(missing)} here")
    return [obj for obj in found if obj["metadata"]["name"] in names]
