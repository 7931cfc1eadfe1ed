"""Requests of a person to a cluster: any path, text that is streamed, commands in pods; with a context of a kubeconfig.

Controllers use `client` alone. Here no request is sent while the server has not answered once, so that a wrong
kubeconfig is said at once instead of after several attempts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from bitagent_kube.client import APPLY, JSON, Client
from bitagent_kube.credentials import (
    SERVICE_ACCOUNT_FOLDER,
    UNUSABLE,
    kubeconfig_files,
    load_configuration,
    missing_files_not_logged,
)
from bitagent_kube.errors import ApiError, error_of_answer, no_answer
from bitagent_kube.objects import Obj
from bitagent_kube.resources import resource_of

FIRST_ANSWER_SECONDS = 10.0
EXEC_PROTOCOL = "v4.channel.k8s.io"
"""Subprotocol of commands in pods: each message begins with the number of its channel."""
MESSAGE_BYTES = 16 * 2**20
_STDOUT, _STDERR, _RESULT = 1, 2, 3
_STDERR_BYTES = 4096
_NO_ANSWER = (aiohttp.ClientError, OSError)


@dataclass(frozen=True)
class Access:
    """Which cluster, and which of its namespaces."""

    configuration: Configuration
    namespace: str
    context: str
    """Name of the kubeconfig's context; empty in a pod."""


class CommandFailed(Exception):
    """A command in a pod ended with an error; the message has the end of what it said."""


async def access(*, kubeconfig: Path | None = None, context: str = "") -> Access:
    """Return how to reach the cluster: by the kubeconfig, and in a pod without one by its service account.

    Raises ApiError if there is no such context, or no way at all.
    """
    try:
        with missing_files_not_logged():
            contexts, active = config.list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)
    except UNUSABLE as error:
        if kubeconfig or context:
            text = f"kubeconfig {kubeconfig or kubeconfig_files()}: cannot be used: {error}"
            raise ApiError(code=0, reason="NoConfiguration", message=text) from error
        return Access(await load_configuration(), _namespace_of_pod(), "")
    chosen = next((each for each in contexts if each["name"] == context), None) if context else active
    if chosen is None:
        known = ", ".join(each["name"] for each in contexts)
        raise ApiError(code=0, reason="NoConfiguration", message=f"there is no context {context}; there are: {known}")
    configuration = Configuration()
    try:
        await config.load_kube_config(
            str(kubeconfig) if kubeconfig else None, context=chosen["name"], client_configuration=configuration
        )
    except UNUSABLE as error:
        text = f"context {chosen['name']} cannot be used: {error}"
        raise ApiError(code=0, reason="NoConfiguration", message=text) from error
    return Access(configuration, chosen["context"].get("namespace") or "default", chosen["name"])


def _namespace_of_pod() -> str:
    try:
        return (SERVICE_ACCOUNT_FOLDER / "namespace").read_text().strip() or "default"
    except OSError:
        return "default"


class ClusterClient(Client):
    """Requests in one namespace as `Client` makes them, and in the whole cluster by path. Methods raise ApiError."""

    server_version: str = ""
    """The API server's version, such as v1.35.4."""

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._configuration.host)

    async def first_answer(self) -> None:
        """Ask the server for its version, once. Raises ApiError if it does not answer, or knows no such user."""
        url = self._url("/version", {})
        try:
            response = await self._send("GET", url, None, JSON, FIRST_ANSWER_SECONDS)
            content = await response.read()
        except _NO_ANSWER as error:
            raise no_answer(f"GET {url}", error) from error
        if response.status != HTTPStatus.OK:
            raise error_of_answer(response.status, content, request="GET /version")
        self.server_version = str(json.loads(content).get("gitVersion") or "")

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Obj:
        """Return what is at a path: an object, a collection, or a list of kinds."""
        return await self._call("GET", path, query=query or {})

    async def items(self, path: str, *, labels: str = "", fields: str = "") -> list[Obj]:
        """Return all objects of a collection at a path, without their managed fields."""
        query = {"limit": "500", "labelSelector": labels, "fieldSelector": fields}
        found: list[Obj] = []
        while True:
            page = await self._call("GET", path, query=query)
            found += page.get("items") or []
            token = page["metadata"].get("continue")
            if not token:
                break
            query = query | {"continue": token}
        for item in found:
            item["metadata"].pop("managedFields", None)
        return found

    async def post(self, path: str, obj: Obj) -> Obj:
        """Create an object at a path, such as a review of rights; return the answer."""
        return await self._call("POST", path, obj, query=self._write)

    async def apply_unforced(self, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Apply an object server-side; raise a conflict if another manager has set one of its fields differently."""
        resource, query = resource_of(obj["apiVersion"], obj["kind"]), dict(self._write)
        path = resource.path(self.namespace, obj["metadata"]["name"])
        return await self._call("PATCH", path, obj, content=APPLY, query=query | ({"dryRun": "All"} if dry_run else {}))

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """Yield the lines of a text, such as a container's log, until its end."""
        timeout = aiohttp.ClientTimeout(total=None, connect=FIRST_ANSWER_SECONDS)
        request = f"GET {path}"
        try:
            response = (await self._send("GET", self._url(path, query), None, JSON, timeout)).response
            try:
                if response.status != HTTPStatus.OK:
                    raise error_of_answer(response.status, await response.read(), request=request)
                rest = b""
                async for chunk, _ in response.content.iter_chunks():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                if rest:
                    yield rest
            finally:
                response.close()
        except _NO_ANSWER as error:
            raise no_answer(request, error) from error

    async def execute(self, pod: str, command: Sequence[str], *, container: str) -> AsyncGenerator[bytes]:
        """Run a command in a container and yield its output, in pieces. Raises CommandFailed if it fails."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/exec"
        query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", w) for w in command)]
        url = f"{self._configuration.host}{path}?{urlencode(query, quote_via=quote)}"
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        headers = {"Authorization": token} if token else {}
        said = b""
        try:
            async with self._session().ws_connect(
                url, headers=headers, protocols=(EXEC_PROTOCOL,), max_msg_size=MESSAGE_BYTES, proxy=self._proxy
            ) as socket:
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                        continue
                    channel, content = message.data[0], message.data[1:]
                    if channel == _STDOUT and content:
                        yield content
                    elif channel == _STDERR:
                        said = (said + content)[-_STDERR_BYTES:]
                    elif channel == _RESULT:
                        _check_result(content, said)
                        return
        except aiohttp.WSServerHandshakeError as error:
            reason = "Forbidden" if error.status == HTTPStatus.FORBIDDEN else "NoStatus"
            text = f"command in pod {pod}: the API server answers {error.status} {error.message}"
            raise ApiError(code=error.status, reason=reason, message=text) from error
        except _NO_ANSWER as error:
            raise no_answer(f"command in pod {pod}", error) from error
        raise CommandFailed(f"the connection to pod {pod} was lost before its command had ended")

    def _session(self) -> aiohttp.ClientSession:
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        session: aiohttp.ClientSession = rest.pool_manager
        return session

    @property
    def _proxy(self) -> Any:
        return self._client.rest_client.proxy


def _check_result(content: bytes, said: bytes) -> None:
    """Raise CommandFailed unless the Status that ends a command says Success."""
    status = json.loads(content)
    if status.get("status") != "Success":
        words = said.decode(errors="replace").strip() or status.get("message") or "no reason is known"
        raise CommandFailed(str(words))


@asynccontextmanager
async def open_cluster(where: Access, *, namespace: str, field_manager: str) -> AsyncIterator[ClusterClient]:
    """Open a client after the server's first answer. Raises ApiError."""
    client = ClusterClient(where.configuration, namespace=namespace, field_manager=field_manager)
    try:
        await client.first_answer()
        yield client
    finally:
        await client.close()
