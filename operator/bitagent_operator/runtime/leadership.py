"""One operator acts in a namespace: the one that holds the Lease `bitagent-operator` there.

A release that watches several namespaces competes for the Lease of each. Others, replicas of it and those of another
release, keep their caches current and wait. The numbers: a holder that was killed is followed after the duration of its
Lease, counted from when the next one saw it renewed, so at most 4.5 s after its death; one that ends in order gives the
Lease up, which the next one sees within half a second. A holder that could not renew it for 3 s writes nothing: the
second until the Lease ends is for requests that are under way, and its client sends no write after that time, even if
its event loop was blocked meanwhile. It waits for the server a minute longer, and continues if no other one has acted.
The Lease lasts longer where requests take long, up to a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.lease import UNKNOWN, Lease, LeaseLost, Timing
from bitagent_kube.objects import ObjectMeta, ObjectReference
from bitagent_kube.parts import end
from bitagent_kube.resources import DEPLOYMENTS, ROLE_BINDINGS
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.naming import MANAGER

TIMING = Timing(
    duration=4.0,
    renew_deadline=3.0,
    give_up=60.0,
    longest=60.0,
    attempt=0.9,
    retry=1.0,
    retry_failed=0.2,
    look=0.5,
)
_OTHER_RELEASE, _NO_LEASE = "release", "lease"
"""Keys of these problems among those that /readyz shows."""

log = logging.getLogger(__name__)


def release_name(*, deployment: str, home: str, namespace: str) -> str:
    """Return the name of a release among those that may act in a namespace; empty: unknown.

    `home` is the namespace of its Deployment. Releases of two namespaces may have the same name.
    """
    return deployment if not deployment or home == namespace else f"{home}/{deployment}"


def identity(*, release: str, pod: str) -> str:
    """Return the Lease's holder: replicas have one `release`, and each a `pod` of its own."""
    return f"{release}/{pod}" if release else pod


def lease_of(client: Client, *, deployment: str, home: str, pod: str) -> Lease:
    """Return the Lease. It is deleted with the operator's Deployment, or with its RoleBinding in another namespace."""
    release = release_name(deployment=deployment, home=home, namespace=client.namespace)
    owner = partial(_owner_of, client, deployment=deployment, home=home)
    return Lease(client, name=MANAGER, identity=identity(release=release, pod=pod), owner=owner, timing=TIMING)


async def _owner_of(client: Client, *, deployment: str, home: str) -> ObjectReference | None:
    """Return the owner of the Lease as it is now; None if there is none, or if it cannot be read.

    A RoleBinding may be created again while this process runs, as after its namespace was deleted, with another uid.
    """
    if not deployment:
        return None
    resource = DEPLOYMENTS if client.namespace == home else ROLE_BINDINGS
    try:
        found = await client.get(resource, deployment)
    except ApiError as error:
        log.warning("the Lease will have no owner: %s %s cannot be read: %s", resource.kind, deployment, error)
        return None
    if found is None:
        return None
    uid = ObjectMeta.parse(found).uid
    return ObjectReference(resource.api_version, resource.kind, client.namespace, deployment, uid)


class Standby:
    """What a process says while another one holds the Lease."""

    def __init__(self, *, namespace: str, release: str, health: Health) -> None:
        self._namespace, self._release, self._health = namespace, release, health
        self._holder = ""

    def __call__(self, holder: str) -> None:
        """Report the present holder. One of another release is a mistake, as is a Lease that cannot be taken.

        This process is not ready then: it does nothing, and no replica of it may.
        """
        if holder == self._holder:
            return
        self.end()
        self._holder = holder
        problems, other = self._health.problems, holder.rpartition("/")[0]
        if other and other != self._release:
            text = f"another release, {other}, operates namespace {self._namespace}: this one does nothing; remove one"
            problems[_OTHER_RELEASE] = text
            log.error("%s", text)
        elif holder == UNKNOWN:
            text = f"the Lease {MANAGER} cannot be read or taken: this process does nothing; its log says why"
            problems[_NO_LEASE] = text
            log.warning("%s", text)
        else:
            log.info("standing by: %s acts", holder)

    def end(self) -> None:
        """Take back what was said: this process acts, or one of its release."""
        for problem in (_OTHER_RELEASE, _NO_LEASE):
            self._health.problems.pop(problem, None)
        self._holder = ""


async def lead(lease: Lease, term: Callable[[], Awaitable[None]], *, waiting: Standby, metrics: Metrics) -> None:
    """Run `term` whenever the Lease is held, until cancelled. Raises what `term` raises.

    When the Lease is lost, `term` is cancelled. When this is cancelled, `term` ends first, then the Lease is given up.
    """
    try:
        while True:
            await lease.acquire(waiting=waiting)
            waiting.end()
            metrics.leader.set(1)
            keeping, working = asyncio.create_task(lease.keep()), asyncio.ensure_future(term())
            try:
                await asyncio.wait((keeping, working), return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    working.result()
                    return
            finally:
                metrics.leader.set(0)
                await end(working)
                await end(keeping)
            with suppress(LeaseLost):
                keeping.result()
            log.warning("this process no longer leads: %s", keeping.exception())
    finally:
        await lease.release()
