"""The API server and the records of one Validator, for all that works on its rounds."""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_kube.client import Client
from bitagent_kube.events import ObjectEvents
from bitagent_kube.informer import Informer
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import Round
from bitagent_validator.state.store import StateStore


@dataclass(frozen=True)
class Services:
    """The API server and the records of one Validator."""

    client: Client
    rounds: Informer[Round]
    store: StateStore
    events: ObjectEvents
    metrics: Metrics
