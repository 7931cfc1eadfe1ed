"""How fast the public page answers at 1,000 models and 100 rounds, while a round of 1,000 models runs.

    python benchmarks/leaderboard.py [--seconds N] [--out FILE]

The page is a process of its own, with the objects as an API server sends them; every second its running round changes,
as by a watch event, so that documents are rendered again. Four readers ask for documents at random, one after the
other, first with compression and then also with the ETag that they have. Every document that is asked for the first
time is rendered within its request. Writes leaderboard.json beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import socket
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
from aiohttp import web
from machine import described

sys.path.insert(0, str(Path(__file__).parents[1]))

from bitagent_leaderboard.model.board import Board, board
from bitagent_leaderboard.model.reading import RoundReader, read_model, read_validator
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.serving.metrics import Metrics
from tests import leaderboard_objects as objects

MODELS, ROUNDS, READERS = 1000, 100, 4
KINDS = {
    "first page": lambda _: "",
    "round": lambda draw: f"rounds/demo-tools-{draw.randrange(ROUNDS - 1)}/",
    "running round": lambda _: f"rounds/demo-tools-{ROUNDS - 1}/",
    "model": lambda draw: f"models/model-{draw.randrange(MODELS)}/",
    "models": lambda draw: f"models-{draw.randrange(2, MODELS // 100 + 1)}.html",
    "weights": lambda _: "validators/demo/",
    "round as JSON": lambda draw: f"api/v1/rounds/demo-tools-{draw.randrange(ROUNDS - 1)}.json",
    "running round as JSON": lambda _: f"api/v1/rounds/demo-tools-{ROUNDS - 1}.json",
    "model as JSON": lambda draw: f"api/v1/models/model-{draw.randrange(MODELS)}.json",
    "badge": lambda draw: f"badges/model-{draw.randrange(MODELS)}.svg",
    "feed": lambda _: "feed.atom",
}
WEIGHTS = (6, 20, 14, 20, 4, 4, 4, 2, 8, 14, 4)
"""How often each kind is asked for: people look at rounds and models, model cards load badges."""


def complete(epoch: int) -> str:
    """Return a complete round as JSON."""
    draw = random.Random(epoch)
    scores = sorted((draw.random() for _ in range(MODELS)), reverse=True)
    order = draw.sample(range(MODELS), MODELS)
    results = [
        objects.scored(number, score, rank) for rank, (number, score) in enumerate(zip(order, scores, strict=True), 1)
    ]
    return json.dumps(objects.round_(f"demo-tools-{epoch}", results, epoch=epoch, end=60 * (epoch + 1)))


def running(version: int) -> str:
    """Return the running round as JSON; with each version some of its models proceed."""
    results = [
        objects.pending(number, (version * 7 + number) % 400, 400) if number % 100 < 8 else objects.pending(number)
        for number in range(MODELS)
    ]
    name, end = f"demo-tools-{ROUNDS - 1}", 60 * ROUNDS
    return json.dumps(objects.round_(name, results, phase="Running", epoch=ROUNDS - 1, end=end, version=version))


class Page:
    """The page in a process of its own."""

    def __init__(self) -> None:
        self.reader = RoundReader()
        self.rounds = {f"demo-tools-{epoch}": self.reader(json.loads(complete(epoch))) for epoch in range(ROUNDS - 1)}
        self.models = {f"model-{number}": read_model(objects.model(number)) for number in range(MODELS)}
        weights = dict.fromkeys(range(256), f"{1 / 256:.8f}")
        demo = read_validator(objects.validator(weights=weights, rounds=[f"demo-tools-{ROUNDS - 2}"]))
        self.validators = {"demo": demo}

    def board(self, version: int) -> Board:
        """Take in a version of the running round, as a watch does."""
        found = self.reader(json.loads(self.given[version % 60]))
        return board(
            revision=version,
            models=self.models,
            rounds=self.rounds | {found.name: found},
            validators=self.validators,
        )

    async def run(self, port: int, pipe: Connection) -> None:
        """Serve until something comes through the pipe; then send what it took."""
        self.given = [running(version) for version in range(60)]
        serving = Serving(Settings(live=True), Metrics())
        serving.show(self.board(1))
        runner = web.AppRunner(serving.application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host="127.0.0.1", port=port).start()
        pipe.send("ready")
        version, takes = 1, []
        while not pipe.poll():
            await asyncio.sleep(1)
            version += 1
            began = time.perf_counter()
            serving.show(self.board(version))
            takes.append(time.perf_counter() - began)
        await runner.cleanup()
        used = resource.getrusage(resource.RUSAGE_SELF)
        rendered = serving.documents.misses
        pipe.send(
            {
                "take_in_ms": takes,
                "cpu": used.ru_utime + used.ru_stime,
                "peak": used.ru_maxrss << 10,
                "rendered": rendered,
            }
        )


def serve(port: int, pipe: Connection) -> None:
    """Run the page."""
    began = time.perf_counter()
    page = Page()
    pipe.send(time.perf_counter() - began)
    asyncio.run(page.run(port, pipe))


async def read(address: str, seconds: float, number: int, *, with_tags: bool) -> list[tuple[str, float, int, int]]:
    """Return kind, seconds, status and size of each answer to one reader."""
    draw, tags, found = random.Random(number), dict[str, str](), []
    names = list(KINDS)
    end = time.perf_counter() + seconds
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        while time.perf_counter() < end:
            (kind,) = draw.choices(names, WEIGHTS)
            path = KINDS[kind](draw)
            headers = {"Accept-Encoding": "gzip"}
            if with_tags and path in tags:
                headers["If-None-Match"] = tags[path]
            began = time.perf_counter()
            async with session.get(f"{address}/{path}", headers=headers) as answer:
                content = await answer.read()
            found.append((kind, time.perf_counter() - began, answer.status, len(content)))
            tags[path] = answer.headers.get("ETag", "")
    return found


async def load(port: int, seconds: float, *, with_tags: bool) -> list[tuple[str, float, int, int]]:
    """Ask as several readers at once."""
    address = f"http://127.0.0.1:{port}"
    each = (read(address, seconds, number, with_tags=with_tags) for number in range(READERS))
    return [entry for found in await asyncio.gather(*each) for entry in found]


def summary(found: list[tuple[str, float, int, int]], seconds: float) -> dict[str, Any]:
    """Return rates, percentiles and sizes."""
    assert {status for _, _, status, _ in found} <= {200, 304}, "an answer failed"

    def of(times: list[float]) -> dict[str, float]:
        parts = quantiles(times, n=100)
        return {
            "p50_ms": round(1e3 * median(times), 2),
            "p95_ms": round(1e3 * parts[94], 2),
            "p99_ms": round(1e3 * parts[98], 2),
        }

    kinds = {}
    for kind in KINDS:
        mine = [(taken, size) for name, taken, _, size in found if name == kind]
        kinds[kind] = of([taken for taken, _ in mine]) | {"bytes": round(median(size for _, size in mine))}
    whole = of([taken for _, taken, _, _ in found]) | {
        "longest_ms": round(1e3 * max(taken for _, taken, _, _ in found), 1)
    }
    return {"answers_per_second": round(len(found) / seconds), **whole, "kinds": kinds}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="time of each of the two measurements")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(port, there))
    process.start()
    prepared = here.recv()
    here.recv()
    fresh = asyncio.run(load(port, options.seconds, with_tags=False))
    again = asyncio.run(load(port, options.seconds, with_tags=True))
    here.send("stop")
    used = here.recv()
    process.join()
    takes = sorted(1e3 * each for each in used["take_in_ms"])
    result = {
        "models": MODELS,
        "rounds": ROUNDS,
        "readers": READERS,
        "compressed": summary(fresh, options.seconds),
        "with_etags": summary(again, options.seconds),
        "documents_rendered": used["rendered"],
        "change_taken_in_ms": {"p50": round(median(takes), 1), "longest": round(takes[-1], 1)},
        "objects_made_and_read_s": round(prepared, 1),
        "peak_mb": round(used["peak"] / 1e6),
        "machine": described("aiohttp", "jinja2", "pydantic"),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
