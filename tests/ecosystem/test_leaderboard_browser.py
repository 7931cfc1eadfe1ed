"""The public page in real Chromium: readable without scripts, accessible, live, and safe to open.

Not part of `make test`: Chromium and its libraries are 133 MB, which are installed first (20 s, once, as root).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bitagent_leaderboard.export import export
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import Settings
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.serving.metrics import Metrics
from bitagent_leaderboard.site.documents import Site
from bitagent_leaderboard.source.documents import board_of, with_manifests
from tests import leaderboard_objects as objects

pytestmark = pytest.mark.ecosystem

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATHS = (
    *("", "rounds.html", "models.html", "about.html", "rounds/demo-tools-2/", "rounds/demo-tools-3/"),
    *("models/model-0/", "models/model-20/", "validators/demo/", "validators/demo/competitions/tools/", "none"),
)
OWN = ("http://127.0.0.1:", "file://", "about:")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def installed() -> str:
    """Return Debian's Chromium, installed if it is missing."""
    if (found := shutil.which("chromium")) is None:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        if subprocess.run(install, env=quiet, capture_output=True, check=False).returncode != 0:
            subprocess.run(["apt-get", "update", "-q"], env=quiet, capture_output=True, check=False)
            subprocess.run(install, env=quiet, capture_output=True, check=True)
        found = shutil.which("chromium")
    assert found is not None
    return found


class Served:
    """The page in a thread of its own."""

    def __init__(self, board: Board, *namespaces: str, title: str = "bitagent leaderboard") -> None:
        """Serve the board, of the first of several namespaces; the others are not read yet."""
        names = namespaces or ("",)
        self.serving = Serving(Settings(live=True, has_manifests=True, title=title), Metrics(), namespaces=names)
        self.serving.show(board, names[0])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _start(self) -> web.AppRunner:
        runner = web.AppRunner(self.serving.application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    def show(self, board: Board, namespace: str = "") -> None:
        self._loop.call_soon_threadsafe(self.serving.show, board, namespace)

    def end_streams(self) -> None:
        """End all connections for changes; browsers connect again after some seconds."""
        self._loop.call_soon_threadsafe(self.serving.streams.end)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    folder = tmp_path_factory.mktemp("artifacts")
    return with_manifests(board_of(objects.demo(folder)), folder)


@pytest.fixture
def served(board: Board) -> Iterator[Served]:
    made = Served(board)
    yield made
    made.close()


@pytest.fixture
def titled(board: Board) -> Iterator[Served]:
    """A page whose title has no place to break at."""
    made = Served(board, title="Rangliste" * 12)
    yield made
    made.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a context of its own; what the browser reports as an error fails the test."""
    pages: list[Page] = []
    errors: list[str] = []

    def opened(address: str, **options: Any) -> Page:
        page = browser.new_context(**options).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: errors.append(request.url) if not request.url.startswith(OWN) else None)
        page.goto(address)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.context.close()
    assert [each for each in errors if "404" not in each] == [], "nothing is refused, and nothing loaded from elsewhere"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_accessible_in_both_schemes_and_on_a_phone(
    titled: Served, open_page: Callable[..., Page], scheme: str, viewport: dict[str, int]
) -> None:
    page = open_page(titled.address, color_scheme=scheme, viewport=viewport)
    for path in PATHS:
        page.goto(f"{titled.address}/{path}")
        found = Axe().run(page).response["violations"]
        assert not [(each["id"], each["nodes"][0]["html"]) for each in found], path
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"{path} is wider than the screen"


def test_a_page_of_several_namespaces(board: Board, open_page: Callable[..., Page]) -> None:
    """Accessible on a phone, and a change in a namespace reaches the open list and the open pages of that one."""
    made = Served(board, "team-a", "team-b")
    other = board_of([objects.round_("demo-tools-2", [objects.pending(7, 1, 2)], phase="Running")])
    other = replace(other, revision=2)
    try:
        listed = open_page(made.address, viewport=PHONE)
        assert "not read yet" in listed.inner_text("main")
        connected(made, listed, 1)
        made.show(board_of([]), "team-b")
        expect(listed.get_by_role("link", name="team-b")).to_have_attribute("href", "namespaces/team-b/")
        own = open_page(f"{made.address}/namespaces/team-b/rounds.html", viewport=PHONE)
        connected(made, own, 2)
        made.show(other, "team-b")
        expect(own.get_by_role("link", name="demo-tools-2")).to_be_visible()
        for page in (listed, own):
            assert not [each["id"] for each in Axe().run(page).response["violations"]]
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider == 0
        own.get_by_role("link", name="Namespaces").click()
        expect(own.get_by_role("heading", level=1)).to_have_text("Namespaces")
    finally:
        made.close()


def test_read_without_scripts(served: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{served.address}/rounds/demo-tools-2/", java_script_enabled=False)
    rows = page.get_by_role("region", name="Ranking", exact=True).locator("tbody tr")
    expect(rows).to_have_count(10)
    expect(page.get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="model-0", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("model-0")
    expect(page.locator(".command code")).to_contain_text("bitagent-eval plan --from-round")


def test_by_keyboard(served: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{served.address}/rounds/demo-tools-2/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    region = page.get_by_role("region", name="Ranking", exact=True)
    region.focus()
    expect(region).to_be_focused()


def test_a_command_is_copied_with_the_pages_address(served: Served, open_page: Callable[..., Page]) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    page = open_page(f"{served.address}/rounds/demo-tools-2/", permissions=permissions)
    page.get_by_role("button", name="Copy the command that repeats the score of model-0").click()
    expect(page.locator("#live")).to_have_text("The command is copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"--from-round {served.address}/rounds/demo-tools-2/round.json --model miner-0/model" in copied


def test_rows_are_filtered_by_name_and_whole_hotkey(served: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{served.address}/rounds/demo-tools-2/")
    rows = page.get_by_role("region", name="Ranking", exact=True).locator("tbody tr:visible")
    field = page.get_by_role("searchbox")
    field.fill("MODEL-2")
    expect(rows).to_have_count(2)
    field.fill(objects.hotkey(5))
    expect(rows).to_have_count(1)


def test_an_open_page_takes_in_changes(served: Served, open_page: Callable[..., Page], board: Board) -> None:
    page = open_page(f"{served.address}/rounds/demo-tools-3/")
    expect(page.get_by_text("380 of 400")).to_be_visible()
    page.wait_for_function("document.body.dataset.events")
    connected(served, page, 1)
    progressed = [objects.pending(0, 399, 400), objects.pending(1, 130, 400)]
    made = objects.round_("demo-tools-3", progressed, phase="Running", epoch=3, end=240, version=5)
    served.show(board_of([*objects.demo()[:12], made]))
    expect(page.get_by_text("399 of 400")).to_be_visible(timeout=10_000)
    expect(page.locator("#live")).to_contain_text("Updated at")
    done = objects.round_("demo-tools-3", [objects.scored(0, 0.9, 1)], epoch=3, end=240, version=6)
    served.show(board_of([*objects.demo()[:12], done]))
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible(timeout=10_000)


def connected(served: Served, page: Page, readers: int) -> None:
    """Wait until so many readers are sent changes."""
    for _ in range(200):
        if len(served.serving.streams) == readers:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(served.serving.streams)} readers instead of {readers}")


def test_a_change_while_the_connection_was_lost(served: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{served.address}/rounds/demo-tools-3/")
    connected(served, page, 1)
    served.end_streams()
    connected(served, page, 0)
    done = objects.round_("demo-tools-3", [objects.scored(0, 0.9, 1)], epoch=3, end=240, version=6)
    served.show(board_of([*objects.demo()[:12], done]))
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible(timeout=30_000)


def test_what_a_miner_wrote_does_nothing(open_page: Callable[..., Page], tmp_path: Path) -> None:
    hostile = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
    made = objects.round_("x", [objects.scored(1, 0.5, 1)])
    objects.put_manifest(tmp_path, made, 1, objects.manifest(1, 0.5, categories={hostile: 0.5}))
    model = objects.model(1)
    model["status"]["resolved"] |= {"license": hostile, "architecture": hostile}
    served = Served(with_manifests(board_of([model, made]), tmp_path))
    for path in ("rounds/x/", "models/model-1/", "badges/model-1.svg", "api/v1/rounds/x.json"):
        page = open_page(f"{served.address}/{path}")
        assert page.title() != "1"
        assert page.locator("img").count() == 0
    served.close()


def test_exported_files_below_a_path(open_page: Callable[..., Page], board: Board, tmp_path: Path) -> None:
    export(Site(board, Settings(exported="now", has_manifests=True)), tmp_path / "spaces" / "board")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = open_page(f"http://127.0.0.1:{server.server_port}/spaces/board/")
    page.get_by_role("link", name="demo / tools").click()
    page.get_by_role("link", name="demo-tools-2", exact=True).click()
    page.get_by_role("link", name="model-0", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("model-0")
    page.get_by_role("link", name="Competitions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Competitions")
    server.shutdown()


def test_exported_files_from_a_folder(open_page: Callable[..., Page], board: Board, tmp_path: Path) -> None:
    export(Site(board, Settings(exported="now")), tmp_path / "out")
    page = open_page("about:blank", java_script_enabled=False)
    page.goto((tmp_path / "out/index.html").as_uri())
    page.get_by_role("link", name="demo / tools").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("demo / tools")
