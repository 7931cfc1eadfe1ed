"""The cluster that the options name, and messages for the errors that a person meets."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from bitagent_crds.schema import API_VERSION
from bitagent_kube.cluster import ClusterClient, access, open_cluster
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import MODELS, ROUNDS, VALIDATORS, ApiResource

FIELD_MANAGER = "kubectl-bitagent"
KINDS = {"er": ROUNDS, "mm": MODELS, "val": VALIDATORS}
"""Resources by their short names."""


class Failure(Exception):
    """Ends a verb with exit code 1; the message is for a person."""


class UsageFailure(Failure):
    """Ends a verb with exit code 2: an argument is not what it has to be."""


@asynccontextmanager
async def connected(options: argparse.Namespace) -> AsyncIterator[ClusterClient]:
    """Open a client of the cluster and namespace that the options name. Raises Failure and ApiError."""
    where = await access(kubeconfig=options.kubeconfig, context=options.context)
    namespace = options.namespace or where.namespace
    try:
        async with open_cluster(where, namespace=namespace, field_manager=FIELD_MANAGER) as client:
            yield client
    except ApiError as error:
        raise Failure(explained(error, server=str(where.configuration.host), context=where.context)) from error


async def get(client: ClusterClient, resource: ApiResource, name: str) -> Obj:
    """Return an object. Raises Failure if there is none."""
    found = await client.get(resource, name)
    if found is None:
        await ensure_served(client)
        raise Failure(f"there is no {resource.kind} {name} in namespace {client.namespace}")
    return found


async def ensure_served(client: ClusterClient) -> None:
    """Raise Failure if the API server does not know the three kinds: then every name is missing."""
    if not await client.served(ROUNDS):
        raise Failure(NO_DEFINITIONS)


NO_DEFINITIONS = (
    f"the cluster does not serve {API_VERSION}: install the chart bitagent-operator, or choose another cluster with "
    "--context"
)


def explained(error: ApiError, *, server: str, context: str) -> str:
    """Return what a person can do about an error of the API server. Pure."""
    place = f"context {context}, {server}" if context else server
    if error.reason == "NoAnswer":
        return f"the cluster does not answer ({place}): {error.message}; choose another one with --context"
    if error.code == HTTPStatus.UNAUTHORIZED:
        return f"the cluster does not accept your credentials ({place}): log in again, or choose another --context"
    if error.code == HTTPStatus.FORBIDDEN:
        return f"you may not do that: {error.message}; ask for the right, or choose another --context or --namespace"
    if error.not_found and error.message.startswith("namespaces "):
        return f"{error.message}: choose another one with --namespace"
    if error.not_found:
        return f"{error.message or error}; if the kind is unknown: {NO_DEFINITIONS}"
    return error.message or str(error)
