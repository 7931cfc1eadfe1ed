"""All requests to the API server: list, read, create, server-side apply, merge-patch, delete. Nothing else talks to it but kopf.

Built on the low layer of the official client's asyncio half (credentials, TLS, rotation of the service account's token, connection
pool); its generated and dynamic layers would cost twice the CPU per request and turn plain data into objects and back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as credentials
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from bitagent_crds.schema import API_VERSION
from bitagent_operator import naming

Obj = dict[str, Any]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"

_RETRIED = frozenset({429, 500, 502, 503, 504})
_RETRIES = 5
_PAGE = 500
_TIMEOUT = 30.0

log = logging.getLogger(__name__)


class ApiError(Exception):
    """The API server refused a request, or did not answer (code 0)."""

    def __init__(self, *, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}" if code else message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(frozen=True)
class Endpoint:
    """Where the objects of one kind are served."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """The API group, empty for core."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version in the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Path of the collection, of an object, or of its subresource."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        return "/".join(p for p in (f"{root}/namespaces/{namespace}/{self.plural}", name, subresource) if p)


MODELS = Endpoint(API_VERSION, "MinerModel", "minermodels")
ROUNDS = Endpoint(API_VERSION, "EvalRound", "evalrounds")
VALIDATORS = Endpoint(API_VERSION, "Validator", "validators")
JOBS = Endpoint("batch/v1", "Job", "jobs")
PODS = Endpoint("v1", "Pod", "pods")
DEPLOYMENTS = Endpoint("apps/v1", "Deployment", "deployments")
SERVICE_ACCOUNTS = Endpoint("v1", "ServiceAccount", "serviceaccounts")
ROLES = Endpoint("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = Endpoint("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
EVENTS = Endpoint("events.k8s.io/v1", "Event", "events")
CORE_EVENTS = Endpoint("v1", "Event", "events")

ENDPOINTS = {
    e.kind: e
    for e in (MODELS, ROUNDS, VALIDATORS, JOBS, PODS, DEPLOYMENTS, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, EVENTS)
}
"""By kind, for objects that say theirs."""


async def cluster_configuration() -> Configuration:
    """Credentials of the service account in a pod, else of the kubeconfig. Raises kubernetes' ConfigException."""
    configuration = Configuration()
    try:
        credentials.load_incluster_config(client_configuration=configuration)
    except credentials.ConfigException:
        await credentials.load_kube_config(client_configuration=configuration)
    configuration.connection_pool_maxsize = 32
    configuration.retries = 1  # our own retries also cover writes, all of which are idempotent
    return configuration


class Api:
    """Requests in one namespace. `observe` is told verb and code of every answer."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        namespace: str,
        observe: Callable[[str, int], None] = lambda _verb, _code: None,
    ) -> None:
        self.namespace = namespace
        self._client = ApiClient(configuration)
        self._client.user_agent = naming.MANAGER
        self._configuration = configuration
        self._observe = observe

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def list(self, endpoint: Endpoint, *, labels: str = "", fields: str = "") -> list[Obj]:
        """All objects that match, read in pages. Items of built-in kinds do not say their kind. Raises ApiError."""
        query = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        items: list[Obj] = []
        while True:
            page = await self._call("GET", endpoint.path(self.namespace), query=query)
            for item in page["items"] or ():
                item["metadata"].pop("managedFields", None)  # can be half of an object, and nobody here reads it
                items.append(item)
            token = page["metadata"].get("continue")
            if not token:
                return items
            query["continue"] = token

    async def get(self, endpoint: Endpoint, name: str) -> Obj | None:
        """One object, None if there is none of that name. Raises ApiError."""
        try:
            return cast(Obj, await self._call("GET", endpoint.path(self.namespace, name)))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def create(self, obj: Obj) -> Obj:
        """Create the object; if one of its name exists, that one is returned untouched. Raises ApiError."""
        endpoint = ENDPOINTS[obj["kind"]]
        try:
            return cast(Obj, await self._call("POST", endpoint.path(self.namespace), obj, query=_WRITE))
        except ApiError as error:
            if error.code != 409:
                raise
            existing = await self.get(endpoint, obj["metadata"]["name"])
            if existing is None:  # deleted in between: the caller sees that on its next pass
                raise
            return existing

    async def post_event(self, event: Obj) -> None:
        """Create an Event; one of its name is the same Event. Raises ApiError."""
        try:
            await self._call("POST", EVENTS.path(self.namespace), event, query=_WRITE)
        except ApiError as error:
            if error.code != 409:
                raise

    async def apply(self, obj: Obj, *, subresource: str = "") -> Obj:
        """Server-side apply: the object has these fields afterwards, others are left alone.

        With metadata.resourceVersion in `obj` also an optimistic lock. Raises ApiError, code 409 when the lock is stale.
        """
        endpoint = ENDPOINTS[obj["kind"]]
        path = endpoint.path(self.namespace, obj["metadata"]["name"], subresource)
        query = _WRITE | {"force": "true"}
        return cast(Obj, await self._call("PATCH", path, obj, content=APPLY, query=query))

    async def merge(self, endpoint: Endpoint, name: str, change: Obj) -> Obj | None:
        """Merge-patch an object; None if it is gone. Raises ApiError."""
        try:
            path = endpoint.path(self.namespace, name)
            return cast(Obj, await self._call("PATCH", path, change, content=MERGE, query=_WRITE))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def delete(self, endpoint: Endpoint, name: str, *, uid: str) -> None:
        """Delete the object of that uid, what it owns in the background. Gone, or another of its name: nothing happens.

        Raises ApiError.
        """
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._call("DELETE", endpoint.path(self.namespace, name), body)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _call(
        self,
        method: str,
        path: str,
        body: Obj | None = None,
        *,
        content: str = JSON,
        query: dict[str, str] | None = None,
    ) -> Any:
        query = {k: v for k, v in (query or {}).items() if v}
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        for attempt in range(_RETRIES + 1):
            delay = min(10.0, 0.2 * 2**attempt) * random.uniform(0.5, 1)
            try:
                status, headers, raw = await self._request(method, url, body, content)
            except (aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
                self._observe(method, 0)
                if attempt == _RETRIES:
                    raise ApiError(code=0, reason="NoAnswer", message=f"{method} {path}: {error!r}") from error
            else:
                self._observe(method, status)
                if status < 300:
                    return json.loads(raw)
                if status not in _RETRIED or attempt == _RETRIES:
                    raise _error(status, raw, request=f"{method} {path}")
                delay = _retry_after(headers, delay)
            log.debug("%s %s: again in %.1f s", method, path, delay)
            await asyncio.sleep(delay)
        raise AssertionError("unreachable")

    async def _request(
        self, method: str, url: str, body: Obj | None, content: str
    ) -> tuple[int, dict[str, str], bytes]:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")  # re-reads a rotated token
        headers = {"Content-Type": content, "Accept": JSON, "User-Agent": naming.MANAGER}
        if token:
            headers["Authorization"] = token
        response = await self._client.call_api(method, url, headers, body, _request_timeout=_TIMEOUT)
        return response.status, dict(response.headers), await response.read()


_WRITE = {"fieldManager": naming.MANAGER, "fieldValidation": "Strict"}


def _error(code: int, raw: bytes, *, request: str) -> ApiError:
    """What the answer says. One without a Status, such as that no kind of this name is installed, says nothing of the request."""
    try:
        status = json.loads(raw)
        return ApiError(code=code, reason=str(status.get("reason", "")), message=str(status.get("message", "")))
    except (ValueError, AttributeError):
        text = raw[:500].decode(errors="replace").strip()
        return ApiError(code=code, reason="NoStatus", message=f"{request}: {text}")


def _retry_after(headers: dict[str, str], default: float) -> float:
    try:
        return min(60.0, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return default
