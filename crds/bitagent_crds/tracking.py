"""Tracking: where a Validator's transcripts of online evaluation are also sent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import SecretKey
from bitagent_crds.schema import Model, cel, rules

TRACKING_KEY_FILE = "/etc/bitagent/tracking/api-key"
"""Where the operator mounts the key of `wandb.apiKeySecretRef` in the validator's pod."""
_Word = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class WandbMode(StrEnum):
    """Whether runs are sent."""

    ONLINE = "Online"
    """They are sent while they run."""
    OFFLINE = "Offline"
    """They are written to the pod's disk, the last two of them, to be sent by a person."""


class Wandb(Model):
    """Weights & Biases."""

    model_config = {
        "json_schema_extra": rules(
            cel(
                "(has(self.mode) && self.mode == 'Offline') || has(self.apiKeySecretRef)",
                "mode Online needs apiKeySecretRef: the key of the account that runs are sent with",
            )
        )
    }

    project: _Word
    """project is the project of the runs."""
    entity: _Word | None = None
    """entity is the user or team of the project; absent: that of the key."""
    mode: WandbMode = WandbMode.ONLINE
    """mode is Online or Offline."""
    api_key_secret_ref: SecretKey | None = None
    """apiKeySecretRef is a Secret's key with the API key."""
    base_url: Annotated[str, Field(max_length=256, pattern=r"^https?://[^ ]+$")] | None = None
    """baseUrl is the address of a server of your own; absent: the public one."""


class Tracking(Model):
    """Services that a Validator reports to."""

    wandb: Wandb | None = None
    """wandb sends a line for each miner of each step to Weights & Biases. It needs a validator image with the extra
    `tracking`; that it is missing, slow or down changes nothing else."""
