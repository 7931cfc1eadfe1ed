"""The process in the validator's pod: what it consists of, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.names import DISCOVERY_MANAGER, VALIDATOR_LABEL, hotkey_lease
from bitagent_crds.validator import ChainRead
from bitagent_kube.client import Client, connect
from bitagent_kube.errors import ApiError
from bitagent_kube.events import EventRecorder, ObjectEvents
from bitagent_kube.health import Health, serve
from bitagent_kube.informer import Informer
from bitagent_kube.lease import UNKNOWN, Lease
from bitagent_kube.resources import ROUNDS, VALIDATORS
from bitagent_validator.chain.endpoints import ENDPOINTS_FILE, secret_endpoints
from bitagent_validator.chain.follower import Follower
from bitagent_validator.competitions.competition import CompetitionController
from bitagent_validator.competitions.leaderboards import LeaderboardPublisher
from bitagent_validator.competitions.rounds import MANAGER
from bitagent_validator.competitions.seed_secrets import SEEDS_DIR, SeedSecrets
from bitagent_validator.discovery.axons import AxonReader
from bitagent_validator.discovery.controller import DiscoveryController
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import Round, ValidatorObject, parse_round, parse_validator
from bitagent_validator.online.attempt import StepAttempts
from bitagent_validator.online.controller import OnlineController
from bitagent_validator.online.examiner import SOCKET, Examiner
from bitagent_validator.online.pools import PoolRounds
from bitagent_validator.online.transcripts import DIRECTORY, Transcripts
from bitagent_validator.running.loop import Loop
from bitagent_validator.running.standby import standby_reports
from bitagent_validator.services import Services
from bitagent_validator.state.store import StateStore
from bitagent_validator.tracking.tracker import Tracker
from bitagent_validator.wallet import Account, load_hotkey, load_seed_key
from bitagent_validator.weights.setter import WeightSetter
from bitagent_validator.weights.turns import Turns

HEARTBEAT_SECONDS = 300.0
"""The pod is restarted after this time without a part of a pass. Each part ends sooner, by its own time limit."""

log = logging.getLogger("bitagent_validator")


@dataclass(frozen=True)
class Settings:
    """The configuration of one process."""

    name: str
    """The Validator."""
    namespace: str
    hotkey_file: Path
    identity: str
    """The name of this process in the Lease; unique among pods."""
    seeds_dir: Path = SEEDS_DIR
    """Where the Secrets of `tasks.secretRef` are, one file for each competition."""
    endpoints_file: Path = ENDPOINTS_FILE
    """Where the Secret of `chain.endpointsSecretRef` is."""
    transcripts_dir: Path = DIRECTORY
    """Where transcripts of online evaluation are written."""
    examiner_socket: Path = SOCKET
    """The socket of the examiner, which gives tasks and scores."""
    health_port: int = 8080
    metrics_port: int = 9090
    stall_seconds: float | None = None
    """Time without a finalised block after which the chain counts as stalled; None: 15 block times."""


def loop_health() -> Health:
    """Return the state of the probes: alive while the loop runs, ready once the chain and the API server were reached.

    An unreachable chain or API server never makes the pod restart, since that would not bring it back. Readiness is not
    withdrawn: this pod receives no requests.
    """
    health = Health(limit_seconds=HEARTBEAT_SECONDS, stalled="the loop has stopped", unready="not connected yet")
    health.beat()
    return health


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises HotkeyFileError if the hotkey cannot be used, ApiError if there is no API server or no such Validator,
    LeaseLost if another process acts for the hotkey now, MustRestart if the Validator now names another subnet or
    endpoints or a height is not believed any more, and HotkeyChanged if the hotkey file holds another key.
    """
    key, seed_key = load_hotkey(settings.hotkey_file), load_seed_key(settings.hotkey_file)
    account = Account(key.ss58_address, settings.hotkey_file)
    health, metrics = loop_health(), Metrics()
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("run() needs a task")
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    async with (
        serve(health, metrics.registry, health_port=settings.health_port, metrics_port=settings.metrics_port),
        connect(namespace=settings.namespace, field_manager=MANAGER) as client,
        connect(namespace=settings.namespace, field_manager=DISCOVERY_MANAGER) as discoverer,
    ):
        try:
            await _run_with(settings, client, account, health, metrics, seed_key=seed_key, discoverer=discoverer)
        except asyncio.CancelledError:
            log.info("stopped")


async def _run_with(
    settings: Settings,
    client: Client,
    account: Account,
    health: Health,
    metrics: Metrics,
    *,
    seed_key: bytes,
    discoverer: Client,
) -> None:
    me = await _read_validator(settings, client)
    if me.spec is None:
        message = f"Validator {settings.name} does not conform to this version's schema"
        raise ApiError(code=0, reason="Invalid", message=message)
    lease = Lease(
        client, name=hotkey_lease(me.spec.netuid, account.hotkey), identity=settings.identity, owner=me.reference
    )

    if me.status.get("hotkey") != account.hotkey:
        # The operator grants the Leases of this hotkey once it is known; what was reported was about another one.
        await client.write_status(VALIDATORS, settings.name, {"hotkey": account.hotkey})
    async with standby_reports(client, me, account, lease=lease.name) as held_by:

        def waiting(holder: str) -> None:
            # A standby is as ready as it can be; a rolling update would never finish otherwise.
            health.ready = True
            health.beat()
            if holder == UNKNOWN:
                log.info("waiting for the Lease %s, which cannot be read or taken yet", lease.name)
            else:
                log.info("standing by: %s acts for this hotkey", holder)
                held_by(holder)

        await lease.acquire(waiting=waiting)
    metrics.lease_held.set(1)
    wake = asyncio.Event()
    validators = Informer[ValidatorObject](
        client, VALIDATORS, parse=parse_validator, changed=wake.set, fields=f"metadata.name={settings.name}"
    )
    rounds = Informer[Round](
        client, ROUNDS, parse=parse_round, changed=wake.set, labels=f"{VALIDATOR_LABEL}={settings.name}"
    )
    secret = endpoints_in_secret(settings)
    follower = Follower(
        [*secret, *me.spec.chain.endpoints],
        changed=wake.set,
        stall_seconds=settings.stall_seconds,
        finalized=me.spec.chain.read is ChainRead.FINALIZED,
        lag_seconds=me.spec.chain.maximum_lag_seconds,
    )
    store = StateStore(client, me)
    events = ObjectEvents(EventRecorder(client, instance=settings.identity), me.reference)
    turns = Turns(client, hotkey=account.hotkey, identity=settings.identity, owner=me.reference)

    def setter_of(mechanism: int) -> WeightSetter:
        return WeightSetter(account, store, events, metrics, changed=wake.set, turns=turns, mechanism=mechanism)

    services = Services(client, rounds, store, events, metrics)
    secrets = SeedSecrets(seed_key, validator_uid=me.uid, netuid=me.spec.netuid, directory=settings.seeds_dir)
    leaderboards = LeaderboardPublisher(client, hotkey_file=settings.hotkey_file, validator=settings.name)
    axons = AxonReader(account, metrics, changed=wake.set)
    online = OnlineController(
        services,
        pools=PoolRounds(services, secrets, uid=me.uid),
        attempts=StepAttempts(services, account, examiner=lambda: Examiner(settings.examiner_socket)),
        transcripts=Transcripts(settings.transcripts_dir, dropped=metrics.transcripts_dropped.inc),
        tracker=Tracker(dropped=metrics.tracking_rows_dropped.inc),
        changed=wake.set,
    )
    loop = Loop(
        account=account,
        spec=me.spec,
        validators=validators,
        name=settings.name,
        services=services,
        follower=follower,
        setter_of=setter_of,
        competitions=CompetitionController(services, uid=me.uid, secrets=secrets, leaderboards=leaderboards),
        discovery=DiscoveryController(services, discoverer, axons),
        online=online,
        health=health,
        wake=wake,
        secret=lambda: secret_endpoints(settings.endpoints_file),
        secret_used=secret,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lease.release)
        stack.push_async_callback(loop.report_suspended)
        stack.push_async_callback(loop.stop)
        stack.push_async_callback(online.close)
        stack.push_async_callback(axons.close)
        async with asyncio.TaskGroup() as group:
            for each in (lease.keep(), validators.run(), rounds.run(), follower.run(), loop.run()):
                group.create_task(each)


async def _read_validator(settings: Settings, client: Client) -> ValidatorObject:
    obj = await client.get(VALIDATORS, settings.name)
    if obj is None:
        message = f"there is no Validator {settings.name} in namespace {settings.namespace}"
        raise ApiError(code=0, reason="NotFound", message=message)
    return parse_validator(obj)


def endpoints_in_secret(settings: Settings) -> list[str]:
    """Return the endpoints in the Secret; none if it cannot be read, which the loop reports.

    Those of the spec remain then.
    """
    try:
        return secret_endpoints(settings.endpoints_file)
    except ValueError as error:
        log.error("%s", error)
        return []
