"""All requests to the API server: read, list, watch, create, server-side apply, merge-patch, replace, delete.

Built on the low layer of the official client's asyncio half (credentials, TLS, connection pool); its generated and
dynamic layers would cost twice the CPU per request and turn plain data into objects and back.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from pydantic_core import from_json

from bitagent_kube.clock import ServerClock
from bitagent_kube.credentials import load_configuration
from bitagent_kube.errors import ApiError, error_of_answer, no_answer, not_sent
from bitagent_kube.objects import Obj
from bitagent_kube.resources import ApiResource, resource_of
from bitagent_kube.retry import (
    ATTEMPTS,
    LAST_START_SECONDS,
    TRANSIENT,
    asks_to_repeat,
    is_repeatable,
    request_backoff,
    retry_after,
)
from bitagent_kube.watch import WatchEvent, parse_event

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
"""Server-side apply. JSON is YAML."""
SHOWN = 100
"""Bytes that an error shows of an answer without an object."""
MERGE = "application/merge-patch+json"

PAGE = 250
REQUEST_SECONDS = 30.0
WATCH_SECONDS = 300
"""The server ends a watch after this."""

Observe = Callable[[str, int], None]
"""Called with the method and the status code of every answer; code 0: no answer."""
MayWrite = Callable[[], bool]
"""Asked before each attempt of a request that changes something."""

_NO_ANSWER = (aiohttp.ClientError, OSError)
"""OSError includes the errors of time-outs and of TLS."""

log = logging.getLogger(__name__)


class Listing(NamedTuple):
    """A collection, or a page of it."""

    items: list[Obj]
    """Items of built-in kinds have no `kind`."""
    version: str
    """resourceVersion to watch the collection from."""


class Client:
    """Requests in one namespace, as one field manager. Every method raises ApiError."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        namespace: str,
        field_manager: str,
        observe: Observe = lambda _method, _code: None,
        may_write: MayWrite = lambda: True,
        clock: ServerClock | None = None,
    ) -> None:
        self.namespace = namespace
        self.field_manager = field_manager
        self.clock = clock or ServerClock()
        """The API server's clock, as its answers show it; `clock`: that of a client which asks more often."""
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._observe = observe
        self._may_write = may_write
        self._write = {"fieldManager": field_manager, "fieldValidation": "Strict"}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[Obj]:
        """Return all objects that match the selectors."""
        return (await self.listing(resource, labels=labels, fields=fields)).items

    async def listing(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> Listing:
        """Read the collection in pages; return the objects that match the selectors, without their managed fields."""
        items: list[Obj] = []
        version = ""
        async for page in self.pages(resource, labels=labels, fields=fields):
            items += page.items
            version = page.version
        return Listing(items, version)

    async def pages(
        self, resource: ApiResource, *, labels: str = "", fields: str = "", size: int = PAGE
    ) -> AsyncGenerator[Listing]:
        """Yield the collection page by page, so that it need not be in memory as a whole.

        The next page is requested before one is yielded: a caller that awaits something while it reads a page waits
        less for the next one.
        """
        path = resource.path(self.namespace)
        query = {"limit": str(size), "labelSelector": labels, "fieldSelector": fields}
        request = asyncio.ensure_future(self._call("GET", path, query=query))
        try:
            while True:
                page = await request
                token = page["metadata"].get("continue")
                if token:
                    request = asyncio.ensure_future(self._call("GET", path, query=query | {"continue": token}))
                items: list[Obj] = page.pop("items") or []
                for item in items:
                    item["metadata"].pop("managedFields", None)  # can be half of an object, and is never read
                yield Listing(items, page["metadata"].get("resourceVersion", ""))
                del items, page
                if not token:
                    return
        finally:
            request.cancel()
            with suppress(asyncio.CancelledError, ApiError):
                await request

    async def served(self, resource: ApiResource) -> bool:
        """Whether the API server says that it serves the kind: its definition may be missing, or just have come.

        One that is being deleted does not count: objects vanish with it, and none can be created.
        """
        try:
            found = await self._call("GET", resource.path_of_version)
        except ApiError as error:
            if error.not_found:
                return False
            raise
        kinds = (each for each in found.get("resources") or () if each.get("name") == resource.plural)
        return any("create" in each.get("verbs", ["create"]) for each in kinds)

    async def get(self, resource: ApiResource, name: str) -> Obj | None:
        """Return one object, or None if there is none of that name."""
        try:
            return await self._call("GET", resource.path(self.namespace, name))
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def create(self, obj: Obj) -> Obj:
        """Create an object.

        Raises a conflict if an object of this name exists, also if an earlier attempt of this call created it.
        """
        return await self._call("POST", _resource(obj).path(self.namespace), obj, query=self._write)

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        """Create an object; if one of this name exists, return that one unchanged. Also return whether it was created.

        If the answer to the creation was lost, it counts as one that existed.
        """
        try:
            return await self.create(obj), True
        except ApiError as error:
            if not error.conflict:
                raise
            existing = await self.get(_resource(obj), obj["metadata"]["name"])
            if existing is None:  # deleted in between: the caller sees that on its next pass
                raise
            return existing, False

    async def apply(self, obj: Obj, *, subresource: str = "") -> Obj:
        """Apply an object server-side: afterwards it has these fields, and others are unchanged.

        `metadata.resourceVersion` is an optimistic lock: a conflict is raised if the object has changed since.
        """
        path = _resource(obj).path(self.namespace, obj["metadata"]["name"], subresource)
        return await self._call("PATCH", path, obj, content=APPLY, query=self._write | {"force": "true"})

    async def write_status(
        self, resource: ApiResource, name: str, status: Obj, *, version: int | None = None
    ) -> Obj | None:
        """Apply a status, under an optimistic lock if `version` is given.

        Returns None if the object no longer exists, or has changed since that version.
        """
        metadata = {"name": name, "namespace": self.namespace}
        if version is not None:
            metadata["resourceVersion"] = str(version)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "status": status}
        try:
            return await self.apply(body, subresource="status")
        except ApiError as error:
            if error.not_found or error.conflict:
                return None
            raise

    async def merge(self, resource: ApiResource, name: str, change: Obj) -> Obj | None:
        """Merge-patch an object; return it, or None if it no longer exists."""
        try:
            path = resource.path(self.namespace, name)
            return await self._call("PATCH", path, change, content=MERGE, query=self._write)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def replace(self, obj: Obj) -> Obj:
        """Replace an object; its `metadata.resourceVersion` is an optimistic lock.

        aiohttp sends a PUT a second time if the connection is lost: a conflict may be with the first attempt of this
        call.
        """
        path = _resource(obj).path(self.namespace, obj["metadata"]["name"])
        return await self._call("PUT", path, obj, query=self._write)

    async def delete(self, resource: ApiResource, name: str, *, uid: str) -> None:
        """Delete the object with this uid, and in the background what it owns.

        Nothing happens if it is gone, or if its name now belongs to another object.
        """
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._call("DELETE", resource.path(self.namespace, name), body)
        except ApiError as error:
            if not (error.not_found or error.conflict):
                raise

    async def watch(
        self, resource: ApiResource, *, version: str, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[WatchEvent]:
        """Yield the changes of a collection since a version, until the server ends the watch after some minutes.

        A watch that breaks is not resumed here. After code 410 (Gone) the collection must be listed again.
        """
        path = resource.path(self.namespace)
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        query |= {"allowWatchBookmarks": "true", "labelSelector": labels, "fieldSelector": fields}
        timeout = aiohttp.ClientTimeout(total=None, connect=REQUEST_SECONDS, sock_read=WATCH_SECONDS + 30)
        try:
            response = (await self._send("GET", self._url(path, query), None, JSON, timeout)).response
            try:
                self._observe("WATCH", response.status)
                if response.status >= 300:
                    raise error_of_answer(response.status, await response.read(), request=f"WATCH {path}")
                async for line in response.content:
                    if (event := parse_event(line)) is not None:
                        yield event
            finally:
                response.close()
        except (*_NO_ANSWER, ValueError) as error:  # ValueError: a line that is cut off, or longer than the buffer
            raise no_answer(f"WATCH {path}", error) from error

    async def _call(
        self,
        method: str,
        path: str,
        body: Obj | None = None,
        *,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Obj:
        request, url = f"{method} {path}", self._url(path, query or {})
        clock = asyncio.get_running_loop().time
        backoff, last_start = request_backoff(), clock() + LAST_START_SECONDS
        for attempt in itertools.count(1):
            delay = backoff.next()
            sent = datetime.now(UTC)
            try:
                if method != "GET" and not self._may_write():
                    raise not_sent(request)
                response = await self._send(method, url, body, content, REQUEST_SECONDS)
                answer = await response.read()
            except _NO_ANSWER as cause:
                self._observe(method, 0)
                error, repeat = no_answer(request, cause), is_repeatable(body)
            except ApiError as withheld:  # until this process may write again, as after its Lease is renewed late
                error, repeat = withheld, True
            else:
                self._observe(method, response.status)
                self.clock.observe(response.headers.get("Date"), sent=sent, received=datetime.now(UTC))
                if response.status < 300:
                    return _parse_object(answer, request)
                error = error_of_answer(response.status, answer, request=request)
                repeat = asks_to_repeat(response.status, response.headers) or (
                    response.status in TRANSIENT and is_repeatable(body)
                )
                delay = retry_after(response.headers, delay)
            if not repeat or attempt == ATTEMPTS or clock() + delay > last_start:
                raise error
            log.debug("%s; attempt %d follows in %.1f s", error, attempt + 1, delay)
            await asyncio.sleep(delay)
        raise AssertionError("unreachable: the loop ends by return or raise")

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        given = {k: v for k, v in query.items() if v}
        return f"{self._configuration.host}{path}" + (f"?{urlencode(given)}" if given else "")

    async def _send(self, method: str, url: str, body: Obj | None, content: str, timeout: Any) -> Any:  # noqa: ASYNC109
        token = await self._configuration.get_api_key_with_prefix("BearerToken")  # also reads a renewed token
        headers = {"Content-Type": content, "Accept": JSON, "User-Agent": self.field_manager}
        if token:
            headers["Authorization"] = token
        return await self._client.call_api(method, url, headers, body, _request_timeout=timeout)


@asynccontextmanager
async def connect(
    *,
    namespace: str,
    field_manager: str,
    observe: Observe = lambda _method, _code: None,
    may_write: MayWrite = lambda: True,
    clock: ServerClock | None = None,
) -> AsyncIterator[Client]:
    """Open a client with the service account or the kubeconfig. Raises ApiError if there is neither."""
    configuration = await load_configuration()
    client = Client(
        configuration,
        namespace=namespace,
        field_manager=field_manager,
        observe=observe,
        may_write=may_write,
        clock=clock,
    )
    try:
        yield client
    finally:
        await client.close()


def _parse_object(answer: bytes, request: str) -> Obj:
    """Return the object in a successful answer. Raises ApiError for anything else, such as the page of a proxy."""
    try:
        obj = from_json(answer)
    except ValueError:
        obj = None
    if not isinstance(obj, dict):
        text = answer[:SHOWN].decode(errors="replace")
        raise no_answer(request, ValueError(f"the answer is not a JSON object, as from a proxy: {text!r}"))
    return obj


def _resource(obj: Obj) -> ApiResource:
    return resource_of(obj["apiVersion"], obj["kind"])
