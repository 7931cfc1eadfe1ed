"""The operator's process: `bitagent-operator`, configured by the file named in BITAGENT_CONFIG."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from functools import partial

from bitagent_kube import health
from bitagent_kube import logging as kube_logging
from bitagent_kube.client import connect
from bitagent_kube.clock import ServerClock
from bitagent_kube.errors import ApiError
from bitagent_kube.parts import Part, together
from bitagent_operator import config
from bitagent_operator.explanation import explain
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.process import process_registry
from bitagent_operator.naming import MANAGER
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.runtime.namespace import operate
from bitagent_operator.tracing.otlp import endpoint_of
from bitagent_operator.watches.watch import list_health

_LINE_BY_LINE = ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "aiohttp.access", "kubernetes")
LOG_LEVELS = dict.fromkeys(_LINE_BY_LINE, logging.WARNING)
"""Loggers that write one line per event or request."""
_RETOLD = ("kopf._core.reactor.running", "kopf._core.reactor.orchestration", "kopf._cogs.clients")
LOG_LEVELS |= dict.fromkeys(_RETOLD, logging.CRITICAL)
"""What these say of a watch that fails, attempt by attempt and with a traceback, its follower says in one line."""

GC_THRESHOLD = 20_000
"""Objects created since the last collection of the youngest that begin the next one; 700 is Python's own."""

log = logging.getLogger("bitagent_operator")


async def run(settings: config.Config) -> None:
    """Run until a signal. Raises OSError if a port is taken, and ApiError if there is no API server to talk to."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("run() needs a task")
    for name in (signal.SIGTERM, signal.SIGINT):  # a process that is PID 1 would ignore them
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    try:
        await _run(settings)
    except asyncio.CancelledError:
        log.info("stopped")


async def _run(settings: config.Config) -> None:
    pod = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    metrics = {namespace: Metrics() for namespace in settings.watched}
    states = {namespace: list_health(settings.relist_seconds) for namespace in settings.watched}
    registry = process_registry({namespace: each.registry for namespace, each in metrics.items()})
    # One clock: each renewal of a Lease shows within a second that this machine's was set; passes may make no request.
    clock = ServerClock()
    traces = endpoint_of(os.environ)

    def part(namespace: str) -> Part:
        own, state = metrics[namespace], states[namespace]
        work = partial(
            operate,
            settings.within(namespace),
            home=settings.namespace,
            pod=pod,
            metrics=own,
            health=state,
            clock=clock,
            traces=traces,
        )
        return Part(namespace, work, state, own.restarts.inc)

    ports = {"health_port": settings.health_port, "metrics_port": settings.metrics_port}
    async with health.serve(health.Parts(states), registry, **ports):
        await together([part(namespace) for namespace in settings.watched])


async def print_explanation(kind: Kind, name: str, namespace: str | None) -> None:
    """Print what is known about an object. Raises ApiError and ConfigError."""
    settings = config.load() if config.path().exists() else None
    watched = settings.watched if settings is not None else ()
    if namespace is None and len(watched) != 1:
        raise config.ConfigError("say which namespace: --namespace NAME")
    where = namespace or watched[0]
    async with connect(namespace=where, field_manager=MANAGER, may_write=lambda: False) as client:
        if settings is None or where not in watched:
            settings = await explain.configuration_of(client)
        settings = settings.within(where)
        sys.stdout.write(explain.render(await explain.explain(client, settings, Key(kind, name))))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bitagent-operator",
        description="Launches Jobs and validators in its namespaces until SIGTERM; with a command, does only that.",
    )
    parser.epilog = (
        f"Configured by the YAML file that {config.CONFIG_VARIABLE} names; without it by {config.DEFAULT_PATH}."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    explain_ = commands.add_parser(
        "explain", help="show the state of an object, why it is so, and what the next pass would do; writes nothing"
    )
    explain_.add_argument("kind", choices=sorted(explain.KINDS), help="kind of the object", metavar="KIND")
    explain_.add_argument("name", help="its name")
    explain_.add_argument("-n", "--namespace", help="its namespace; by default that of the configuration")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the operator or a command; return the exit code: 0 after a signal or a success, 1 after a failure."""
    options = _arguments().parse_args(argv)
    if options.command == "explain":
        kube_logging.configure(json_lines=False, level=logging.ERROR)
        work = print_explanation(explain.KINDS[options.kind], options.name, options.namespace)
        try:
            asyncio.run(work)
        except (config.ConfigError, ApiError) as error:
            log.error("%s", error)
            return 1
        return 0
    level = logging.DEBUG if os.environ.get("BITAGENT_DEBUG") else logging.INFO
    kube_logging.configure(json_lines=not kube_logging.on_terminal(), level=level, levels=LOG_LEVELS)
    # What is imported stays, and most of what is created afterwards is observed objects, which are not in cycles:
    # looking through them more rarely takes a fifth off the time of a first list of 10,000.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    try:
        asyncio.run(run(config.load()))
    except (config.ConfigError, ApiError, OSError) as error:
        log.error("the operator stops: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
