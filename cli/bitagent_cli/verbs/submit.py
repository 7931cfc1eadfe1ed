"""`submit REPO[@REV]`: make or change a MinerModel by server-side apply."""

from __future__ import annotations

import argparse

from bitagent_cli.connection import Failure, UsageFailure, connected, ensure_served
from bitagent_cli.objects.submission import Submission, SubmissionError, doubts, manifest
from bitagent_cli.output import documents
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_cli.verbs.waiting import wait
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import MODELS


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Submit a model. Raises Failure if the API server refuses it, or something else manages its fields.

    What is not written as a submission is said before a cluster is asked.
    """
    asked = Submission(
        repo=options.repo,
        name=options.name,
        hotkey=options.hotkey,
        commit_block=options.commit_block,
        labels=tuple(options.labels),
        prompt_format=options.prompt_format,
    )
    for doubt in doubts(asked):
        terminal.say(f"note: {doubt}")
    try:
        model = manifest(asked, namespace="")
    except SubmissionError as error:
        raise UsageFailure(str(error)) from error
    async with connected(options) as client:
        model["metadata"]["namespace"] = client.namespace
        try:
            obj = await client.apply_unforced(model, dry_run=options.dry_run)
        except ApiError as error:
            if error.not_found:
                await ensure_served(client)
            if error.conflict:
                name = model["metadata"]["name"]
                text = f"MinerModel {name} is managed elsewhere: {error.message}"
                raise Failure(f"{text}; change it there, or choose another --name") from error
            raise
        name = obj["metadata"]["name"]
        if options.output in ("json", "yaml"):
            documents.write(terminal, documents.complete(obj, MODELS), options.output)
        elif options.output == "name":
            terminal.line(f"{MODELS.plural}.{MODELS.group}/{name}")
        else:
            terminal.line(f"MinerModel {name} " + ("would be submitted" if options.dry_run else "is submitted"))
        if not options.wait or options.dry_run:
            return Exit.DONE
        generation = int(obj["metadata"].get("generation") or 0)
        end = await wait(client, MODELS, name, terminal, seconds=options.timeout, since=generation)
    terminal.say(f"MinerModel {name}: {end.reason}: {end.message}".rstrip(": "))
    return Exit.DONE if end.good else Exit.NEGATIVE
