"""The handlers: documents with ETag, compression and strict headers, and the stream of events."""

from __future__ import annotations

import time
from collections.abc import Sequence

from aiohttp import web

from bitagent_leaderboard.model.board import Board, changes
from bitagent_leaderboard.pages.links import namespace_path, within_namespace
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.serving.cache import DocumentCache, Rendered, rendered
from bitagent_leaderboard.serving.metrics import Metrics
from bitagent_leaderboard.serving.streams import Streams, TooManyReaders
from bitagent_leaderboard.site.documents import HTML, Source, StandingsCache
from bitagent_leaderboard.site.several import Documents, documents_of

_CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Server": "bitagent-leaderboard",
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SHARED = ("api/", "badges/", "feed.atom", "rounds/")
"""Documents that scripts of other pages may read; of `rounds/` only what is JSON."""
_LONGEST_PATH = 256
_RETRY = "retry: 5000\n\n"


class Serving:
    """The boards that are served at present, and what follows from them."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        namespaces: Sequence[str] = ("",),
        base: str = "",
        readers: int = 1000,
    ) -> None:
        """`base` is the path below which the page lies, such as `/board`, if a proxy leaves it in the address.

        Each of several namespaces has a folder of its own; the name of a single one does not matter.
        """
        self._settings, self.metrics, self._base = settings, metrics, base.rstrip("/")
        self.streams = Streams(readers)
        self.documents = DocumentCache()
        self._standings = StandingsCache()
        self._boards: dict[str, Board | None] = dict.fromkeys(namespaces)
        self._site: Documents = documents_of(self._boards, settings, self._standings)
        metrics.count_readers(lambda: len(self.streams))
        metrics.count_unread(lambda: sum(board is None for board in self._boards.values()))

    def show(self, board: Board, namespace: str = "") -> None:
        """Serve another board of a namespace from now on, and say to readers what has changed."""
        before = self._boards[namespace]
        names = changes(before or Board(), board)
        folder = namespace_path(namespace) if len(self._boards) > 1 else ""
        boards = {**self._boards, namespace: board}
        self._site = documents_of(boards, self._settings, self._standings)
        self._boards = boards  # only now: one that cannot be shown must not keep those of others from it
        self.metrics.changes.inc(len(names))
        if names:
            self.metrics.last_change.set_to_current_time()
        if names or (folder and before is None):
            self.streams.announce([f"{folder}{name}" for name in names] or [folder])

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[])
        app.router.add_get(f"{self._base}/events", self._events, allow_head=False)
        app.router.add_get(f"{self._base}/{namespace_path('{namespace}')}events", self._events, allow_head=False)
        app.router.add_get(f"{self._base}/{{path:.*}}", self._document)
        if self._base:
            app.router.add_get(self._base, self._to_folder)
        app.on_shutdown.append(self._end_streams)
        return app

    async def _end_streams(self, _app: web.Application) -> None:
        self.streams.end()

    async def _to_folder(self, request: web.Request) -> web.Response:
        return self._answer(web.Response(status=308, headers={"Location": f"{self._base}/"}), "redirect")

    async def _document(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        path = request.match_info["path"]
        try:
            if len(path) > _LONGEST_PATH:
                return self._answer(web.Response(status=414), "missing")
            source = self._site.find(f"{path}index.html" if path == "" or path.endswith("/") else path)
            if source is not None:
                return self._found(request, path, source)
            if self._site.find(f"{path}/index.html") is not None:
                # Relative, since a proxy may have taken a prefix away.
                location = {"Location": f"{path.rpartition('/')[2]}/"}
                return self._answer(web.Response(status=308, headers=location), "redirect")
            return self._missing(path)
        finally:
            self.metrics.seconds.observe(time.perf_counter() - began)

    def _found(self, request: web.Request, path: str, source: Source) -> web.Response:
        document = self.documents.get(path, source)
        headers = {"ETag": document.etag, "Vary": "Accept-Encoding", "Cache-Control": _freshness(path)}
        if within_namespace(path)[1].startswith(_SHARED) and document.kind != HTML:
            headers["Access-Control-Allow-Origin"] = "*"
        if _is_known(request, document):
            return self._answer(web.Response(status=304, headers=headers), _label(path))
        content = document.content
        if document.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            content = document.compressed
            headers["Content-Encoding"] = "gzip"
        headers["Content-Type"] = document.kind
        return self._answer(web.Response(body=content, headers=headers), _label(path))

    def _missing(self, path: str) -> web.Response:
        page = rendered(Source(HTML, None, lambda: self._site.missing(path)))
        headers = {"Content-Type": HTML, "Cache-Control": "no-store"}
        return self._answer(web.Response(status=404, body=page.content, headers=headers), "missing")

    def _answer(self, response: web.Response, label: str) -> web.Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        self.metrics.requests.labels(label, response.status).inc()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        namespace = request.match_info.get("namespace")
        if namespace is not None and (len(self._boards) == 1 or namespace not in self._boards):
            return self._missing(f"{namespace_path(namespace)}events")
        try:
            reader = self.streams.join(namespace_path(namespace) if namespace is not None else "")
        except TooManyReaders:
            answer = web.Response(status=503, text="too many readers are connected", headers={"Retry-After": "60"})
            return self._answer(answer, "events")
        response = web.StreamResponse(
            headers=HEADERS
            | {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self.metrics.requests.labels("events", 200).inc()
        try:
            await response.prepare(request)
            await response.write(_RETRY.encode())
            while not reader.ended:
                await response.write((await reader.next()).encode())
        except ConnectionResetError:
            pass  # the reader is gone
        finally:
            self.streams.leave(reader)
        return response


def _is_known(request: web.Request, document: Rendered) -> bool:
    """Whether the client has the document: If-None-Match names its ETag."""
    given = request.headers.get("If-None-Match", "")
    own = document.etag.removeprefix("W/")
    return any(each.strip().removeprefix("W/") in (own, "*") for each in given.split(","))


def _freshness(path: str) -> str:
    path = within_namespace(path)[1]
    if path.startswith("static/"):
        return "public, max-age=86400"  # pages name the version
    return "public, max-age=60" if path.startswith("badges/") else "no-cache"


_LABELS = frozenset({"api", "badges", "models", "rounds", "static", "validators"})


def _label(path: str) -> str:
    folder = within_namespace(path)[1].partition("/")[0]
    return folder if folder in _LABELS else "lists"
