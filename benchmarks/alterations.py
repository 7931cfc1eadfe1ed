"""What each alteration takes from models that remember or match words: scores of answerers without understanding.

    python benchmarks/alterations.py [--out FILE]

    tiny         the 300 tasks of local/models/benchmark.jsonl, which the answerers have as a table
    bfcl         300 official tasks (simple_python and multiple), likewise

The answerers are those of tests/attacks/attack_models/answerers.py: they answer as a model would whose weights hold the
table perfectly. Each alteration is applied to every task that it can change, and the share of changed tasks is noted.
The rewriter is a stub that exchanges words by a list; it knows the words of `tiny` alone. Writes alterations.json
beside this file; docs/security/threat-model.md and README.md quote it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "attacks"))

from attack_models import answerers  # noqa: E402
from attack_models.answerers import Answerer  # noqa: E402

from bitagent_crds.alterations import Alteration  # noqa: E402
from bitagent_crds.results import Response  # noqa: E402
from bitagent_crds.task_set import Task  # noqa: E402
from bitagent_crds.tasks import Tasks  # noqa: E402
from bitagent_evaluator.alterations.pipeline import alter_tasks  # noqa: E402
from bitagent_evaluator.scoring.scorers import score  # noqa: E402
from bitagent_evaluator.tasks.build import build_task_set  # noqa: E402
from bitagent_evaluator.tasks.files import read_task_set, read_tasks  # noqa: E402

SEED = "alterations"
COUNT = 300
REWRITE = "rewrite"
ALTERATIONS: Mapping[str, list[dict[str, Any]]] = {
    "none": [],
    "toolShuffle": [{"toolShuffle": {}}],
    "distractorTools": [{"distractorTools": {}}],
    "merge": [{"merge": {"percent": 100}}],
    "defaultValueMask": [{"defaultValueMask": {}}],
    "functionMask": [{"functionMask": {}}],
    "parameterMask": [{"parameterMask": {}}],
    "functionMask, parameterMask": [{"functionMask": {}}, {"parameterMask": {}}],
    "irrelevance": [{"irrelevance": {"percent": 100}}],
    "rewrite": [{REWRITE: {"tries": 1}}],
    "rewrite with descriptions": [{REWRITE: {"descriptions": True, "tries": 1}}],
    "all": [
        {"merge": {"percent": 10}},
        {"defaultValueMask": {}},
        {REWRITE: {"descriptions": True, "tries": 1}},
        {"distractorTools": {}},
        {"irrelevance": {"percent": 25}},
        {"toolShuffle": {}},
        {"functionMask": {}},
        {"parameterMask": {}},
    ],
}
"""By what the table calls them."""

OTHER_WORDS = dict(
    pair.split(":")
    for pair in [
        "give:hand",
        "want:wish",
        "need:require",
        "weather:sky",
        "forecast:outlook",
        "much:large",
        "room:chamber",
        "area:surface",
        "old:aged",
        "born:delivered",
        "people:persons",
        "email:message",
        "minutes:min.",
        "seconds:sec.",
        "number:figure",
        "speed:velocity",
        "nights:evenings",
        "pay:settle",
        "distance:stretch",
        "flying:travelling",
        "long:lengthy",
        "wide:broad",
        "price:cost",
        "dollar:buck",
        "dollars:bucks",
        "item:good",
        "discount:reduction",
        "next:coming",
        "days:dates",
        "day:date",
        "now:currently",
        "let:have",
        "write:compose",
        "timer:clock",
        "note:memo",
        "borrow:lend",
        "random:arbitrary",
        "meeting:appointment",
        "drove:went",
        "hotel:inn",
        "tutor:teacher",
        "weight:mass",
        "height:size",
        "cab:car",
        "pick:fetch",
        "tall:high",
        "weigh:measure",
        "taxi:car",
        "payment:instalment",
        "loan:credit",
        "event:occasion",
        "live:dwell",
        "learn:study",
        "someone:somebody",
        "rectangle:box",
        "length:extent",
        "width:breadth",
        "buy:get",
        "dress:garment",
        "priced:costing",
        "flight:plane",
        "what:which",
        "how:to_what_extent",
        "is:equals",
        "are:make",
        "between:amid",
        "after:following",
        "before:ahead_of",
        "percent:per_cent",
        "order:call",
        "who:what_person",
        "rides:travels",
        "car:vehicle",
        "comes:arrives",
        "reserve:keep",
        "town:place",
        "many:numerous",
        "money:funds",
        "interest:rate",
        "time:period",
        "back:again",
        "city:town",
        "place:spot",
        "look:watch",
        "put:enter",
        "calendar:diary",
        "whom:which_person",
        "meet:see",
        "month:31_days",
        "hour:o'clock",
        "two:both",
        "cities:towns",
        "where:at_which_place",
        "way:route",
        "begins:starts",
        "ends:stops",
        "find:seek",
        "teacher:instructor",
        "language:tongue",
        "pupil:student",
        "lives:dwells",
        "work:figure",
        "tip:gratuity",
        "bill:check",
        "sum:total",
        "exchange:swap",
        "currencies:moneys",
        "currency:money",
        "get:receive",
        "side:edge",
        "short:brief",
        "send:post",
        "writes:sends",
        "gets:receives",
        "transfer:move",
        "somebody:a_person",
        "pays:gives",
        "paid:given",
        "age:years_lived",
        "year:twelvemonth",
        "birth:arrival",
        "question:doubt",
        "body:physique",
        "mass:bulk",
        "index:ratio",
        "person:human",
        "heavy:weighty",
        "average:mean",
        "drive:trip",
        "road:street",
        "translate:render",
        "text:passage",
        "book:secure",
        "plane:aircraft",
        "leaves:departs",
        "lands:touches_down",
        "fly:travel",
        "set:start",
        "wait:pause",
        "draw:pick",
        "smallest:least",
        "largest:greatest",
        "hand:give",
    ]
)


def reworded(text: str) -> str:
    """Return a text with other words; names, numbers and quoted texts stay."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if word.lower() == word or match.start() == 0:
            return OTHER_WORDS.get(word.lower(), word).replace("_", " ")
        return word

    return "As for this: " + re.sub(r"[A-Za-z']+", other, text)


@contextmanager
def rewriter() -> Iterator[str]:
    """A stub of an OpenAI-compatible server; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {"role": "assistant", "content": reworded(request["messages"][-1]["content"])}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def official_tasks() -> list[Task]:
    """Tasks of BFCL, drawn by the seed."""
    spec = {"sources": [{"bfcl": {"categories": ["simple_python", "multiple"]}}], "count": COUNT, "seed": SEED}
    with tempfile.TemporaryDirectory() as folder:
        build_task_set(Tasks.model_validate(spec), files={}, out=Path(folder))
        return read_task_set(Path(folder))[1]


def measure(tasks: Sequence[Task], url: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return, for each alteration, the share of changed tasks and the score of each answerer."""
    models: dict[str, Answerer] = {
        "table by question": answerers.by_question(tasks),
        "table by descriptions": answerers.by_descriptions(tasks),
        "table with names from the prompt": answerers.with_names(tasks),
        "bag of words": answerers.bag_of_words,
    }
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        specs = [
            Alteration.model_validate(
                {key: value | {"url": url, "model": "stub"} if key == REWRITE else value for key, value in each.items()}
            )
            for each in ALTERATIONS[name]
        ]
        altered, manifests = alter_tasks(tasks, specs, seed=SEED, available=tasks)
        changed = sum(bool(task.alterations) for task in altered) / len(tasks)
        found[name] = {"changed": f"{changed:.3f}"}
        for manifest in manifests:
            if manifest.parts:
                found[name]["parts"] = manifest.parts
        for model, answer in models.items():
            found[name][model] = f"{passed(altered, answer) / len(tasks):.3f}"
        print(name, found[name], flush=True)
    return found


def passed(tasks: Sequence[Task], answer: Answerer) -> int:
    """Return how many answers are right by BFCL's rules."""
    answers = [
        Response(id=t.id, text=answer(t), finish_reason="stop", prompt_tokens=0, completion_tokens=0) for t in tasks
    ]
    return sum(verdict.passed for verdict in score(tasks, answers))


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    without_rewriter = [name for name in ALTERATIONS if REWRITE not in name and name != "all"]
    with rewriter() as url:
        sets = {
            "tiny": measure(read_tasks(ROOT / "local" / "models" / "benchmark.jsonl"), url, list(ALTERATIONS)),
            "bfcl": measure(official_tasks(), url, without_rewriter),
        }
    options.out.write_text(json.dumps({"tasks": COUNT, "seed": SEED, "scores": sets}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
