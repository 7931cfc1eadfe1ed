"""The Kubernetes API: the few verbs that the validator needs, over the official client's transport. The only module that calls it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
from kubernetes.aio import client, config

Obj = dict[str, Any]

REQUEST_SECONDS = 30.0
PAGE = 500
WATCH_SECONDS = 300
"""A watch ends after this; what it may have missed shows in the list that follows."""
JSON, APPLY = "application/json", "application/apply-patch+yaml"
CONFLICT, NOT_FOUND, GONE = 409, 404, 410


class ApiError(Exception):
    """The API server refused a request, or could not be asked (status 0)."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def path(api_version: str, plural: str, *, namespace: str, name: str = "", subresource: str = "") -> str:
    """The URL path of a namespaced collection, object or subresource."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return "/".join(part for part in (root, "namespaces", namespace, plural, name, subresource) if part)


class Api:
    """Requests as one field manager. Every method raises ApiError."""

    def __init__(self, api_client: Any, *, manager: str) -> None:
        self._client = api_client
        self.manager = manager

    async def get(self, at: str) -> Obj | None:
        """The object, or None if there is none."""
        try:
            return await self._request("GET", at)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def list(self, at: str, **selectors: str) -> tuple[list[Obj], str]:
        """All objects of a collection, and the version to watch it from."""
        items: list[Obj] = []
        query = {"limit": str(PAGE), **selectors}
        while True:
            page = await self._request("GET", at, query=query)
            items += page["items"] or []
            if not (token := page["metadata"].get("continue")):
                return items, page["metadata"]["resourceVersion"]
            query["continue"] = token

    async def create(self, at: str, body: Mapping[str, Any]) -> Obj:
        """Create an object in a collection."""
        query = {"fieldManager": self.manager, "fieldValidation": "Strict"}
        return await self._request("POST", at, query=query, body=body)

    async def apply(self, at: str, body: Mapping[str, Any]) -> Obj:
        """Server-side apply, taking over fields; with metadata.resourceVersion in the body also an optimistic lock."""
        query = {"fieldManager": self.manager, "force": "true", "fieldValidation": "Strict"}
        return await self._request("PATCH", at, query=query, body=body, content_type=APPLY)

    async def replace(self, at: str, body: Mapping[str, Any]) -> Obj:
        """Replace an object; its resourceVersion is an optimistic lock."""
        return await self._request("PUT", at, query={"fieldManager": self.manager}, body=body)

    async def delete(self, at: str, *, uid: str) -> None:
        """Delete one very object in the background; a missing or different one is fine."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", at, body=body)
        except ApiError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise

    async def watch(self, at: str, *, version: str, **selectors: str) -> AsyncIterator[Obj]:
        """Events of a collection since a version, until the server ends the watch."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS), **selectors}
        timeout = aiohttp.ClientTimeout(total=None, connect=REQUEST_SECONDS, sock_read=WATCH_SECONDS + 30)
        try:
            response = (await self._send("GET", at, query=query, timeout=timeout)).response
            try:
                if response.status >= 300:
                    raise _error("WATCH", at, response.status, await response.text())
                async for line in response.content:
                    yield json.loads(line)
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(f"watch of {at}: {error or type(error).__name__}", status=0) from error

    async def _request(
        self,
        method: str,
        at: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
    ) -> Obj:
        try:
            response = await self._send(
                method, at, query=query, body=body, content_type=content_type, timeout=REQUEST_SECONDS
            )
            content = (await response.read()).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(f"{method} {at}: {error or type(error).__name__}", status=0) from error
        if response.status >= 300:
            raise _error(method, at, response.status, content)
        answer: Obj = json.loads(content)
        return answer

    async def _send(
        self,
        method: str,
        at: str,
        *,
        query: Mapping[str, str] | None,
        timeout: Any,  # noqa: ASYNC109 - passed on to the transport
        body: Any = None,
        content_type: str = JSON,
    ) -> Any:
        request = await self._client.param_serialize(
            method=method,
            resource_path=at,
            query_params=list((query or {}).items()),
            header_params={"Accept": JSON, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(*request, _request_timeout=timeout)


@asynccontextmanager
async def connect(*, manager: str) -> AsyncIterator[Api]:
    """Open the API: with the pod's service account in a cluster, else with the kubeconfig.

    Raises:
        ApiError: No configuration is found.
    """
    configuration = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ApiError(f"no way to the API server: {error}", status=0) from error
    async with client.ApiClient(configuration) as api_client:
        yield Api(api_client, manager=manager)


def time_text(moment: datetime, *, micro: bool = False) -> str:
    """A UTC time as the API wants it: `Time`, or `MicroTime` as Leases have it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _error(method: str, at: str, status: int, content: str) -> ApiError:
    try:
        text = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        text = content.strip()[:300]
    return ApiError(f"{method} {at}: {status} {text}", status=status)
