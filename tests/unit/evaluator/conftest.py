"""Models, broken models, a hub, a web server, results, and a watch over what is executed, for the evaluator's tests."""

from __future__ import annotations

import json
import logging
import shutil
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, RunSpec, ScorerName
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Baseline
from bitagent_evaluator.evaluation.journal import Started
from bitagent_evaluator.evaluation.results import Provenance, write_results
from bitagent_evaluator.scoring.scorers import aggregate
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.faults import HubFaultRequest
from bitagent_local.hub.server import HubServer

MODELS = Path(__file__).resolve().parents[3] / "local" / "models"

Header = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A model directory that a test may damage."""

    path: Path

    def config(self, **changes: Any) -> None:
        """Change members of config.json; None removes one."""
        self.edit("config.json", lambda content: _changed(content, changes))

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """Replace a JSON file by what `change` makes of it."""
        path = self.path / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    def header(self, change: Callable[[Header, bytes], tuple[Header, bytes]], name: str = "model.safetensors") -> None:
        """Rewrite a weight file with another header and other data."""
        path = self.path / name
        content = path.read_bytes()
        length = struct.unpack_from("<Q", content)[0]
        header, data = change(json.loads(content[8 : 8 + length]), content[8 + length :])
        path.write_bytes(safetensors(header, data))


def _changed(content: Header, changes: Mapping[str, Any]) -> Header:
    merged = {**content, **changes}
    return {key: value for key, value in merged.items() if key not in changes or value is not None}


def safetensors(header: Header, data: bytes) -> bytes:
    """A weight file of a header and data."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture(autouse=True)
def _log_level_of_the_root() -> None:
    """Take back the level that a verb of the command line, also one in a fixture, has set for the whole process."""
    logging.getLogger("bitagent_evaluator").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def models() -> Path:
    """The trained tiny models."""
    return MODELS


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A copy of the best tiny model."""
    target = tmp_path / "model"
    shutil.copytree(MODELS / "tiny-fc-1200", target, copy_function=shutil.copyfile)
    return Checkpoint(target)


@dataclass(frozen=True)
class LoopbackHub:
    """A hub on the loopback device."""

    server: HubServer
    root: Path

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.port}"

    def add(self, repo: str, model: Path, commit: str, **refs: Any) -> None:
        """Put a model there."""
        folder = self.root / repo
        shutil.copytree(model, folder / commit, copy_function=shutil.copyfile)
        (folder / "refs.json").write_text(json.dumps({"branches": {"main": commit}, **refs}))

    def breaks(self, **fault: Any) -> None:
        """Put these faults in force; none lifts them."""
        self.server.faults.apply(HubFaultRequest.model_validate(fault))

    def requests(self, part: str = "") -> list[dict[str, Any]]:
        """What was asked, of paths that contain `part`."""
        return [request for request in self.server.faults.requests() if part in request["path"]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """A hub without repositories."""
    root = tmp_path / "hub"
    root.mkdir()
    server = HubServer(Hub(root, tokens=frozenset({"hf_secret"})), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield LoopbackHub(server, root)
    server.shutdown()
    server.server_close()
    thread.join()


WriteResults = Callable[..., Path]


@pytest.fixture
def results_directory(tmp_path: Path) -> WriteResults:
    """Writes a results directory `name` by the library's own writer."""

    def write(
        name: str,
        verdicts: Sequence[Verdict],
        responses: Sequence[Response] = (),
        *,
        task_set_digest: str = "sha256:" + "1" * 64,
        scorer: ScorerName = BuiltinScorer.BFCL,
        aggregation: Aggregation = Aggregation.MEAN,
        baseline: Baseline | None = None,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        provenance = Provenance(
            run=RunSpec(
                repo=f"acme/{name}",
                commit="c" * 40,
                weights_digest="sha256:" + "2" * 64,
                task_set_digest=task_set_digest,
                prompt_format=BuiltinPromptFormat.BFCL,
                max_tokens=256,
                scorer=scorer,
                aggregate=aggregation,
            ),
            task_set=None,
            syntaxes=("Python",),
            dtype="bfloat16",
            started=Started(devices=["a processor"], arguments={"seed": 0}, packages={"vllm": "1"}),
        )
        outcome = aggregate(verdicts, seed=task_set_digest, scorer=scorer, aggregation=aggregation)
        outcome = replace(outcome, baseline=baseline)
        write_results(directory, provenance, responses, verdicts, outcome)
        return directory

    return write


@dataclass
class Website:
    """Files on a loopback web server, and how it misbehaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    """Whether parts of files can be had."""
    more: int = 0
    """Bytes that are sent before the part that was asked for."""
    breaks_after: int | None = None
    """Bytes after which the next answer breaks off; once."""
    missing_end: bool = False
    """Whether the next whole file is announced a byte longer than it is; once."""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered with, instead of content."""
    retry_after: dict[str, str] = field(default_factory=dict)
    """The header Retry-After of those answers."""
    refuses: dict[str, int] = field(default_factory=dict)
    """What all requests for paths that begin so are answered with."""
    answer: Callable[[dict[str, Any], str], Any] | None = None
    """What a POST of JSON with a credential is answered with."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and range of each request."""
    credentials: list[tuple[str, str]] = field(default_factory=list)
    """Host and Authorization of each request for a file; empty without one."""


@pytest.fixture
def website(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    """A web server without files; waiting before another try takes no time."""
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)
    site = Website()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            pass

        def do_GET(self) -> None:
            expected = self.headers.get("Range", "")
            site.asked.append((self.path, expected))
            site.credentials.append((self.headers["Host"], self.headers.get("Authorization", "")))
            if site.statuses:
                return self.send(site.statuses.pop(0), b"", site.retry_after)
            for begin, status in site.refuses.items():
                if self.path.startswith(begin):
                    return self.send(status, b"", site.retry_after)
            if self.path in site.redirects:
                return self.send(302, b"", {"Location": site.redirects[self.path]})
            content = site.files.get(self.path)
            if content is None:
                return self.send(404, b"")
            if not expected or not site.ranges:
                return self.send(200, content)
            first, _, last = expected.removeprefix("bytes=").partition("-")
            start = int(first) - site.more if first else max(0, len(content) - int(last) - site.more)
            end = min(len(content), int(last) + 1) if first and last else len(content)
            if start >= end:
                return self.send(416, b"")
            self.send(206, content[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            site.asked.append((self.path, ""))
            if site.statuses:
                return self.send(site.statuses.pop(0), b"")
            assert site.answer is not None
            answer = site.answer(body, self.headers.get("Authorization", ""))
            self.send(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            missing, site.missing_end = site.missing_end, False
            for name, value in {**(headers or {}), "Content-Length": str(len(body) + missing)}.items():
                self.send_header(name, value)
            self.end_headers()
            cut, site.breaks_after = site.breaks_after, None
            self.wfile.write(body[:cut])
            self.close_connection = missing or cut is not None

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has seen enough and leaves is not an error."""

    server = Server(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


EXECUTION = {"exec", "import", "open", "os.system", "subprocess.Popen", "socket.connect"}
"""Audit events of running code objects, importing, opening files, starting programs and connecting."""
Watch = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def nothing_executed() -> Watch:
    """A block that fails when anything in it executes. What it needs must have been imported before."""
    watching, executed = False, list[str]()

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in EXECUTION:
            executed.append(f"{event} {arguments!r}")

    sys.addaudithook(note)  # stays until the process ends

    @contextmanager
    def watched() -> Iterator[None]:
        nonlocal watching
        executed.clear()
        watching = True
        try:
            yield
        finally:
            watching = False
        assert executed == []

    return watched


@dataclass(frozen=True)
class EndpointReply:
    """A reply of the fake endpoint. `hang` sends nothing until the test is over."""

    status: int = 200
    body: Any = None
    """JSON, or bytes as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


@dataclass(frozen=True)
class EndpointCall:
    """A request to the fake endpoint."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]

    @property
    def question(self) -> str:
        """The last message, or the prompt."""
        asked = self.body["messages"][-1]["content"] if "messages" in self.body else self.body["prompt"]
        assert isinstance(asked, str)
        return asked


def completion_reply(text: str | None, *, cut_off: bool = False, calls: list[tuple[str, str]] = []) -> EndpointReply:  # noqa: B006
    """A chat completion."""
    tool_calls = [{"id": "1", "type": "function", "function": {"name": n, "arguments": a}} for n, a in calls]
    message = {"role": "assistant", "content": text} | ({"tool_calls": tool_calls} if calls else {})
    choice = {"index": 0, "message": message, "text": text, "finish_reason": "length" if cut_off else "stop"}
    return EndpointReply(body={"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


def error_reply(status: int, message: str = "no", **headers: str) -> EndpointReply:
    """An error in the API's form."""
    return EndpointReply(status, {"error": {"message": message, "type": "x", "code": None}}, headers)


class _EndpointServer(ThreadingHTTPServer):
    """A server whose clients may hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: a test checks what the client does."""


class FakeEndpoint:
    """An OpenAI-compatible endpoint on the loopback device that replies by `script(request)`, which tests replace."""

    def __init__(self) -> None:
        self.requests: list[EndpointCall] = []
        self.script: Callable[[EndpointCall], EndpointReply] = lambda request: completion_reply(request.question)
        self.open = self.most_open = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._server = _EndpointServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def reply_with(self, *answers: EndpointReply) -> None:
        """Send these replies one after the other, and then the last one again."""
        left = list(answers)

        def script(_: EndpointCall) -> EndpointReply:
            with self._lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.script = script

    def close(self) -> None:
        """Release hanging requests, and stop."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _reply(self, request: EndpointCall) -> EndpointReply:
        with self._lock:
            self.requests.append(request)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        try:
            answer = self.script(request)
            if answer.hang:
                self._over.wait(30)
            return answer
        finally:
            with self._lock:
                self.open -= 1

    def _handler(endpoint) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                answer = endpoint._reply(
                    EndpointCall(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(content))
                )
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # the client gave up waiting
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


@pytest.fixture
def fake_endpoint() -> Iterator[FakeEndpoint]:
    """Start an endpoint that repeats the last message of a request, until its script is replaced."""
    started = FakeEndpoint()
    yield started
    started.close()


@pytest.fixture
def replies() -> Any:
    """Return constructors of replies, since test modules cannot import this file."""

    class Replies:
        raw, completion, error = EndpointReply, staticmethod(completion_reply), staticmethod(error_reply)

    return Replies
