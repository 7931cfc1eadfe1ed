"""Put the validator together and run it until it is told to stop, or must."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.rounds import VALIDATOR_LABEL
from bitagent_crds.schema import API_VERSION
from bitagent_validator import kube
from bitagent_validator.chain.follower import Follower
from bitagent_validator.competitions import Competitions, Tools
from bitagent_validator.health import Health, serve
from bitagent_validator.kube import Api, ApiError, path
from bitagent_validator.lease import Lease, lease_name
from bitagent_validator.loop import Loop
from bitagent_validator.metrics import Metrics
from bitagent_validator.mirror import Mirror
from bitagent_validator.payer import Account, Payer
from bitagent_validator.recorder import Recorder
from bitagent_validator.rounds import MANAGER
from bitagent_validator.seen import Round, ValidatorObject, parse_round, parse_self
from bitagent_validator.state import Store
from bitagent_validator.wallet import load_hotkey

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How one process runs."""

    name: str
    namespace: str
    hotkey_file: Path
    identity: str
    """Names this process in the Lease; unique among pods."""
    health_port: int = 8080
    metrics_port: int = 9090
    stall_seconds: float | None = None
    """Overrides the time after which a silent chain is taken for dead."""


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        WalletError: The hotkey cannot be used.
        ApiError: There is no API server, or no such Validator.
        LeaseLost: Another process acts for the hotkey now.
        SpecChanged: The Validator now names another subnet or other endpoints.
    """
    key = load_hotkey(settings.hotkey_file)
    account = Account(key.ss58_address, settings.hotkey_file)
    health, metrics = Health(), Metrics()
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("run() needs a task")
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    async with (
        serve(health, metrics.registry, health_port=settings.health_port, metrics_port=settings.metrics_port),
        kube.connect(manager=MANAGER) as api,
    ):
        try:
            await _serve(settings, api, account, health, metrics)
        except asyncio.CancelledError:
            log.info("stopped")


async def _serve(settings: Settings, api: Api, account: Account, health: Health, metrics: Metrics) -> None:
    me = await _self(settings, api)
    if me.spec is None:
        raise ApiError(f"Validator {settings.name} does not read as this version's", status=0)
    lease = Lease(
        api,
        name=lease_name(me.spec.netuid, account.hotkey),
        namespace=settings.namespace,
        identity=settings.identity,
        owner=me.owner_reference,
    )

    def waiting(holder: str) -> None:
        log.info("standing by: %s acts for this hotkey", holder)
        # A standby is as ready as it can be; a rolling update would wait for it for ever otherwise.
        health.ready = True
        health.beat()

    await lease.acquire(waiting=waiting)
    metrics.lease_held.set(1)
    wake = asyncio.Event()
    validators = Mirror[ValidatorObject](
        api,
        path(API_VERSION, "validators", namespace=settings.namespace),
        parse=parse_self,
        changed=wake.set,
        fieldSelector=f"metadata.name={settings.name}",
    )
    rounds = Mirror[Round](
        api,
        path(API_VERSION, "evalrounds", namespace=settings.namespace),
        parse=parse_round,
        changed=wake.set,
        labelSelector=f"{VALIDATOR_LABEL}={settings.name}",
    )
    follower = Follower(me.spec.chain.endpoints, changed=wake.set, stall_seconds=settings.stall_seconds)
    store, recorder = Store(api, me), Recorder(api, me)
    payer = Payer(account, store, recorder, metrics, changed=wake.set)
    tools = Tools(api, rounds, store, recorder, metrics)
    loop = Loop(
        account=account,
        spec=me.spec,
        me=validators,
        name=settings.name,
        tools=tools,
        follower=follower,
        payer=payer,
        competitions=Competitions(tools, namespace=settings.namespace, uid=me.uid),
        health=health,
        wake=wake,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lease.release)
        stack.push_async_callback(payer.stop)
        async with asyncio.TaskGroup() as group:
            for each in (lease.keep(), validators.run(), rounds.run(), follower.run(), loop.run()):
                group.create_task(each)


async def _self(settings: Settings, api: Api) -> ValidatorObject:
    at = path(API_VERSION, "validators", namespace=settings.namespace, name=settings.name)
    obj = await api.get(at)
    if obj is None:
        raise ApiError(
            f"there is no Validator {settings.name} in namespace {settings.namespace}", status=kube.NOT_FOUND
        )
    return parse_self(obj)
