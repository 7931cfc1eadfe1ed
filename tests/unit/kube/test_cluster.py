"""Requests of a person to a cluster."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from bitagent_kube.cluster import ClusterClient, CommandFailed, access, open_cluster
from bitagent_kube.errors import ApiError

if TYPE_CHECKING:
    from tests.unit.kube.conftest import Server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(server.configuration, namespace="ns", field_manager="m")
    yield made
    await made.close()


CONFIG = {
    "current-context": "two",
    "contexts": [
        {"name": "one", "context": {"cluster": "a", "user": "u"}},
        {"name": "two", "context": {"cluster": "b", "user": "u", "namespace": "space"}},
    ],
    "clusters": [
        {"name": "a", "cluster": {"server": "http://a"}},
        {"name": "b", "cluster": {"server": "http://b"}},
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.mark.parametrize(
    ("context", "host", "namespace"),
    [
        pytest.param("", "http://b", "space", id="the current one"),
        pytest.param("one", "http://a", "default", id="another one"),
    ],
)
async def test_contexts(kubeconfig: Path, context: str, host: str, namespace: str) -> None:
    where = await access(kubeconfig=kubeconfig, context=context)
    assert (where.configuration.host, where.namespace) == (host, namespace)
    assert where.context == (context or "two")


async def test_a_context_that_is_missing(kubeconfig: Path, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="there is no context three; there are: one, two"):
        await access(kubeconfig=kubeconfig, context="three")
    with pytest.raises(ApiError, match="cannot be used"):
        await access(kubeconfig=tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"root:x:0:0:root:/root:/bin/bash\n", id="another file"),
        pytest.param(b"a: [", id="not YAML"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(b"", id="empty"),
        pytest.param(b"contexts: 3\ncurrent-context: x\n", id="contexts that are none"),
        pytest.param(json.dumps(CONFIG | {"clusters": None}).encode(), id="no clusters"),
    ],
)
@pytest.mark.parametrize("named", [True, False], ids=["by an option", "by the environment"])
async def test_a_file_that_is_no_kubeconfig(
    content: bytes, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    # The client library reads the environment when it is imported.
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    with pytest.raises(ApiError) as error:
        await access(kubeconfig=path if named else None)
    assert error.value.reason == "NoConfiguration"


async def test_without_a_kubeconfig_and_outside_of_a_pod_there_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/nowhere/config")
    with pytest.raises(ApiError) as raised:
        await access()
    assert raised.value.reason == "NoConfiguration"


async def test_one_attempt_finds_out_that_nothing_answers(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(seconds: float) -> None:
        pytest.fail(f"another attempt after {seconds} s")

    monkeypatch.setattr("bitagent_kube.client.asyncio.sleep", pause)
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:9"
    where = (await access(kubeconfig=kubeconfig)).__class__(configuration, "ns", "c")
    with pytest.raises(ApiError) as raised:
        async with open_cluster(where, namespace="ns", field_manager="m"):
            pass
    assert raised.value.reason == "NoAnswer"


async def test_the_first_answer_has_the_version(server: Server, client: ClusterClient) -> None:
    server.answers = [server.say(200, {"gitVersion": "v1.35.4"})]
    await client.first_answer()
    assert client.server_version == "v1.35.4"
    server.answers = [server.refuse(401, "Unauthorized")]
    with pytest.raises(ApiError) as raised:
        await client.first_answer()
    assert raised.value.code == 401


async def test_a_collection_is_read_in_pages(server: Server, client: ClusterClient) -> None:
    first = {"items": [{"metadata": {"name": "a", "managedFields": [1]}}], "metadata": {"continue": "t"}}
    server.answers = [server.say(200, first), server.say(200, {"items": [{"metadata": {"name": "b"}}], "metadata": {}})]
    found = await client.items("/api/v1/nodes", labels="x=y")
    assert found == [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]
    assert [query.get("continue") for query in server.queries] == [None, "t"]
    assert server.queries[1]["labelSelector"] == "x=y"


async def test_what_is_applied_takes_no_field_from_others(server: Server, client: ClusterClient) -> None:
    model = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "metadata": {"name": "m"}}
    server.answers = [server.say(200, model)]
    await client.apply_unforced(model, dry_run=True)
    assert "force" not in server.queries[0]
    assert server.queries[0]["dryRun"] == "All"


async def test_lines_of_a_log(server: Server, client: ClusterClient) -> None:
    server.answers = [server.text(200, "one\ntwo\nlast")]
    assert [line async for line in client.lines("/log", {})] == [b"one", b"two", b"last"]
    server.answers = [server.refuse(403, "Forbidden")]
    with pytest.raises(ApiError) as raised:
        [line async for line in client.lines("/log", {})]
    assert raised.value.code == 403


def status(ok: bool) -> bytes:
    return b"\x03" + json.dumps({"status": "Success" if ok else "Failure", "message": "exit code 1"}).encode()


Handler = Callable[[web.Request], Any]


@pytest.fixture
async def pods() -> AsyncIterator[tuple[ClusterClient, list[bytes], list[list[str]]]]:
    """A client of a server that runs commands: messages to send, and the commands that came."""
    messages: list[bytes] = []
    commands: list[list[str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        commands.append(request.query.getall("command"))
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for message in messages:
            await socket.send_bytes(message)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ns/pods/p/exec", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = ClusterClient(configuration, namespace="ns", field_manager="m")
    yield client, messages, commands
    await client.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("messages", "output", "error"),
    [
        pytest.param([b"\x01ab", b"\x01c", status(True)], b"abc", "", id="output"),
        pytest.param([b"\x01", status(True)], b"", "", id="none"),
        pytest.param([b"\x02no such file", status(False)], b"", "no such file", id="an error with its words"),
        pytest.param([status(False)], b"", "exit code 1", id="an error without a word"),
        pytest.param([b"\x01a"], b"a", "was lost", id="a connection that is cut"),
    ],
)
async def test_commands(pods: Any, messages: list[bytes], output: bytes, error: str) -> None:
    client, sent, commands = pods
    sent += messages
    got = b""
    try:
        async for piece in client.execute("p", ["sh", "-c", "a b&c"], container="c"):
            got += piece
        said = ""
    except CommandFailed as failed:
        said = str(failed)
    assert (got, error in said, bool(said)) == (output, True, bool(error))
    assert commands == [["sh", "-c", "a b&c"]]


async def test_a_command_that_may_not_be_run(pods: Any) -> None:
    client, _, _ = pods
    with pytest.raises(ApiError) as raised:
        [piece async for piece in client.execute("other", ["x"], container="c")]
    assert raised.value.code == 404
