"""`fetch ROUND DIR` and `report ROUND`: files of a round on this machine."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bitagent_cli.connection import Failure, connected, get
from bitagent_cli.files.choice import ROUND_FILE, TASKS, Chosen, NoFiles, choose, differences, place_of, round_document
from bitagent_cli.files.pod import TEMPORARY
from bitagent_cli.files.reading import copy, execute, reader
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_crds.names import ROUND_MOUNT, leaderboard_config_map
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CONFIG_MAPS, ROUNDS

LEADERBOARD = "leaderboard.json"
_PAGES = f"{TEMPORARY}/pages"


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Copy the files of a round, or its report."""
    return await (_fetch if options.verb == "fetch" else _report)(options, terminal)


async def _fetch(options: argparse.Namespace, terminal: Terminal) -> int:
    folder: Path = options.directory
    async with connected(options) as client:
        obj, chosen = await _chosen(client, options, tasks=not options.no_tasks)
        _make_empty(folder)
        async with reader(client, obj, place_of(obj), terminal, image=options.image, seconds=options.timeout) as pod:
            done = await copy(
                client, pod, root=ROUND_MOUNT, paths=chosen.paths, target=folder, max_bytes=options.max_bytes
            )
        (folder / ROUND_FILE).write_text(round_document(obj))
        signed = await _signed_leaderboard(client, options.round)
        if signed is not None:
            (folder / LEADERBOARD).write_text(signed)
    terminal.line(f"{folder}: {done.files} files, {done.bytes} bytes, and {ROUND_FILE}")
    wrong = list(differences(obj, chosen, folder))
    for each in wrong:
        terminal.say(each)
    return Exit.NEGATIVE if wrong else Exit.DONE


async def _report(options: argparse.Namespace, terminal: Terminal) -> int:
    """Have the report made where the evaluator is, in the pod, and take the page alone."""
    out: Path = options.out or Path(f"{options.round}.html")
    async with connected(options) as client:
        obj, chosen = await _chosen(client, options, tasks=True)
        if not chosen.results:
            raise Failure(f"no model of EvalRound {options.round} was evaluated: there is nothing to report")
        results = [f"{ROUND_MOUNT}/{path}" for path in chosen.paths if path != TASKS]
        page = ["--tasks", f"{ROUND_MOUNT}/{TASKS}", "--out", f"{_PAGES}/report.html"]
        async with reader(client, obj, place_of(obj), terminal, image=options.image, seconds=options.timeout) as pod:
            await execute(client, pod, ["mkdir", "-p", _PAGES])
            await execute(client, pod, ["bitagent-eval", "report", *results, *page])
            with tempfile.TemporaryDirectory(dir=out.parent, prefix=".report-") as folder:
                target = Path(folder)
                done = await copy(client, pod, root=_PAGES, paths=["."], target=target, max_bytes=options.max_bytes)
                (target / "report.html").replace(out)
    terminal.line(f"{out}: {len(chosen.results)} models, {done.bytes} bytes")
    return Exit.DONE


async def _chosen(client: ClusterClient, options: argparse.Namespace, *, tasks: bool) -> tuple[Obj, Chosen]:
    obj = await get(client, ROUNDS, options.round)
    try:
        place_of(obj)
        return obj, choose(obj, models=options.model, tasks=tasks)
    except NoFiles as error:
        raise Failure(str(error)) from error


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Failure(f"{folder} is not empty: name a folder that does not exist")
    except OSError as error:
        raise Failure(f"{folder} cannot be made: {error.strerror}") from error


async def _signed_leaderboard(client: ClusterClient, name: str) -> str | None:
    """Return the leaderboard that the round's Validator has signed; None if there is none, or it cannot be read."""
    try:
        found = await client.get(CONFIG_MAPS, leaderboard_config_map(name))
    except ApiError:
        return None
    return (found.get("data") or {}).get(LEADERBOARD) if found is not None else None
