"""The `bitagent-leaderboard` command: `serve` is the process in the pod, `export` writes its documents to files."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from bitagent_kube import logging as kube_logging
from bitagent_kube.client import connect
from bitagent_kube.errors import ApiError
from bitagent_kube.health import serve as serve_health
from bitagent_leaderboard.export import ExportError, export
from bitagent_leaderboard.model.text import shown, web_address
from bitagent_leaderboard.pages.commands import Archives
from bitagent_leaderboard.pages.render import Settings, moment
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.serving.following import Following, Work, page_health
from bitagent_leaderboard.serving.metrics import Metrics
from bitagent_leaderboard.site.several import documents_of
from bitagent_leaderboard.source.documents import ObjectsError
from bitagent_leaderboard.source.origin import MANAGER, Artifacts, Origin, boards_from
from bitagent_leaderboard.source.watch import Callbacks, Watch

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_BASE = re.compile(r"(/[A-Za-z0-9._~-]+)*/?", re.ASCII)

T = TypeVar("T")

log = logging.getLogger("bitagent_leaderboard")


@dataclass(frozen=True)
class Ports:
    """Where the process listens."""

    host: str | None
    page: int
    health: int
    metrics: int
    base: str
    readers: int


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="bitagent-leaderboard", description="The public page of rounds, models and weights. It writes nothing."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    serve_ = commands.add_parser("serve", help="serve the page until SIGTERM")
    export_ = commands.add_parser("export", help="write the page as static files")
    export_.add_argument("folder", type=Path, metavar="DIR", help="folder of the files; an earlier export is replaced")
    for each in (serve_, export_):
        each.add_argument(
            "--namespace",
            type=_namespace,
            action="append",
            default=[],
            help="namespace of the objects; repeat it for a page of several",
        )
        each.add_argument(
            "--objects",
            type=Path,
            metavar="FILE",
            help="read `kubectl get minermodels,evalrounds,validators -o json` from a file instead of the cluster; "
            "with --all-namespaces it makes a page of several",
        )
        each.add_argument(
            "--artifacts",
            type=_artifacts,
            action="append",
            default=[],
            metavar="[NAMESPACE=]DIR",
            help="the artifact volume, read-only: intervals and categories; of one namespace or of all",
        )
        each.add_argument("--title", type=shown, default=Settings.title, help="title of the page")
        each.add_argument("--site", type=_address, metavar="URL", help="public address of the page, https")
        each.add_argument(
            "--hub", type=_address, default=Settings.hub, metavar="URL", help="hub that repositories are linked to"
        )
        each.add_argument(
            "--archive",
            type=_archives,
            metavar="S3=URL",
            help="where archives can be read by everybody: s3://BUCKET/PREFIX=https://HOST/PATH",
        )
        each.add_argument(
            "--without-tasks",
            action="store_true",
            help="do not publish from which public sources, and by which seed, the tasks of complete rounds were drawn",
        )
        each.add_argument(
            "--log-format",
            choices=("json", "text"),
            default="text" if kube_logging.on_terminal() else "json",
            help="format of standard error (default: text on a terminal, else json)",
        )
    serve_.add_argument("--host", help="address to listen on (default: all)")
    serve_.add_argument("--port", type=int, default=8000, help="port of the page (default %(default)s)")
    serve_.add_argument("--health-port", type=int, default=8080, help="port of /healthz and /readyz")
    serve_.add_argument("--metrics-port", type=int, default=9090, help="port of /metrics (default %(default)s)")
    serve_.add_argument(
        "--base-path", type=_base, default="", metavar="PATH", help="path below which a proxy hands requests on"
    )
    serve_.add_argument(
        "--max-readers", type=int, default=1000, help="open streams of events at most (default %(default)s)"
    )
    return parser


def _address(text: str) -> str:
    return _checked(web_address, text)


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a namespace")
    return text


def _artifacts(text: str) -> Artifacts:
    namespace, equals, folder = text.partition("=")
    if equals and _NAMESPACE.fullmatch(namespace):
        return Artifacts(namespace, Path(folder))
    return Artifacts(None, Path(text))


def _archives(text: str) -> Archives:
    return _checked(Archives.parse, text)


def _checked(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _base(text: str) -> str:
    if not _BASE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path such as /board")
    return text.rstrip("/")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = arguments()
    options = parser.parse_args(argv)
    if bool(options.namespace) == (options.objects is not None):
        parser.error("give --namespace, or --objects with a file")
    kube_logging.configure(json_lines=options.log_format == "json")
    origin = Origin(tuple(dict.fromkeys(options.namespace)), options.objects, tuple(options.artifacts))
    own = frozenset(each.namespace for each in origin.artifacts if each.namespace is not None)
    settings = Settings(
        title=options.title,
        hub=options.hub,
        site=options.site,
        archives=options.archive,
        with_tasks=not options.without_tasks,
        has_manifests=any(each.namespace is None for each in origin.artifacts),
        with_manifests=own,
        live=options.command == "serve",
        exported=moment(datetime.now(UTC)) if options.command == "export" else None,
    )
    try:
        if options.command == "export":
            count = export(documents_of(asyncio.run(boards_from(origin)), settings), options.folder)
            log.info("%d documents are in %s", count, options.folder)
        else:
            ports = Ports(
                host=options.host,
                page=options.port,
                health=options.health_port,
                metrics=options.metrics_port,
                base=options.base_path,
                readers=options.max_readers,
            )
            asyncio.run(run(origin, settings, ports))
    except (ApiError, ObjectsError, ExportError, OSError) as error:
        log.error("%s", error)
        return 1
    return 0


async def run(origin: Origin, settings: Settings, ports: Ports) -> None:
    """Serve until SIGTERM or SIGINT. Raises ApiError if there is no API server, and OSError if a port is taken."""
    metrics = Metrics()
    boards = await boards_from(origin) if origin.objects is not None else {}
    namespaces = origin.namespaces or tuple(boards)
    serving = Serving(settings, metrics, namespaces=namespaces, base=ports.base, readers=ports.readers)
    following = Following({namespace: _work(origin, namespace) for namespace in origin.namespaces}, serving)
    shown = page_health()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            serve_health(
                following if origin.objects is None else shown,
                metrics.registry,
                health_port=ports.health,
                metrics_port=ports.metrics,
            )
        )
        runner = web.AppRunner(serving.application(), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host=ports.host, port=ports.page).start()
        if origin.objects is not None:
            for namespace, board in boards.items():
                serving.show(board, namespace)
            shown.ready = True
            await stop.wait()
            return
        works = asyncio.create_task(following.run())
        stopped = asyncio.create_task(stop.wait())
        done, pending = await asyncio.wait({works, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if works in done:
            works.result()
        log.info("stopped")


def _work(origin: Origin, namespace: str) -> Work:
    """Return what follows a namespace."""
    revisions, artifacts = itertools.count(1), origin.artifacts_of(namespace)

    async def run(callbacks: Callbacks) -> None:
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            await Watch(client, callbacks, artifacts=artifacts, revisions=revisions).run()

    return run


if __name__ == "__main__":
    sys.exit(main())
