"""The operator's configuration: one YAML file, written by the chart, read once at start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

CONFIG_VARIABLE = "BITAGENT_CONFIG"
DEFAULT_PATH = Path("/etc/bitagent/config.yaml")

Text = Annotated[str, Field(min_length=1)]
Bytes = Annotated[int, Field(ge=0)]


class ConfigError(Exception):
    """The configuration cannot be used; the text says where and why."""


class Section(BaseModel):
    """Base of all sections: camelCase in the file, unknown members refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Images(Section):
    """Container images."""

    evaluator: Text
    """Runs every Job."""
    validator: Text
    """Runs the pod that sets weights."""


class Cache(Section):
    """The volume that holds fetched models."""

    claim_name: Text
    """PersistentVolumeClaim of the model cache."""
    max_bytes: Bytes = 0
    """Size that the cache is kept under; 0: unlimited."""
    max_model_bytes: Bytes = 64 * 2**30
    """Largest model that is fetched."""


class Artifacts(Section):
    """The volume that holds task sets and results."""

    claim_name: Text
    """PersistentVolumeClaim of the artifacts."""


class Hub(Section):
    """The model hub."""

    endpoint: Text = "https://huggingface.co"
    """Address of the hub; only fetch Jobs reach it, and task-set Jobs of rounds with a huggingFace source."""


class PodSize(Section):
    """What a pod without GPU asks for."""

    cpu: Text = "500m"
    """CPU request; there is no CPU limit."""
    memory: Text = "1Gi"
    """Memory request and limit."""


class JobSettings(Section):
    """What is added to the pods of all Jobs."""

    env: tuple[dict[str, Any], ...] = ()
    """core/v1 EnvVars."""
    volumes: tuple[dict[str, Any], ...] = ()
    """core/v1 Volumes."""
    volume_mounts: tuple[dict[str, Any], ...] = ()
    """core/v1 VolumeMounts."""
    fetch: PodSize = PodSize()
    task_set: PodSize = PodSize()


class ValidatorSettings(Section):
    """The pod that sets weights."""

    resources: PodSize = PodSize(cpu="100m", memory="512Mi")
    env: tuple[dict[str, Any], ...] = ()
    """core/v1 EnvVars."""


class Config(Section):
    """Everything that the operator is configured with."""

    namespace: Text
    """The one namespace that is watched."""
    images: Images
    image_pull_policy: Text = "IfNotPresent"
    image_pull_secrets: tuple[Text, ...] = ()
    """Names of Secrets."""
    cache: Cache
    artifacts: Artifacts
    hub: Hub = Hub()
    gpu_resource_name: Text = "nvidia.com/gpu"
    """Extended resource that evaluation pods ask for."""
    jobs: JobSettings = JobSettings()
    validator: ValidatorSettings = ValidatorSettings()
    relist_seconds: Annotated[float, Field(ge=1)] = 300
    """Time between full lists, which find what a lost watch missed."""
    unschedulable_seconds: Annotated[float, Field(ge=0)] = 300
    """How long a pod may find no node before that is reported."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /healthz and /readyz; 0 takes any free one."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9090
    """Port of /metrics; 0 takes any free one."""


def parse(text: str, *, origin: str) -> Config:
    """The configuration in a YAML text. Raises ConfigError, which names `origin` and each bad member."""
    try:
        return Config.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or '(file)'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"{origin}: bad configuration:", *lines])) from error


def load() -> Config:
    """The configuration from the file named by BITAGENT_CONFIG. Raises ConfigError."""
    path = Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_PATH))
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); set {CONFIG_VARIABLE} to the file") from error
    return parse(text, origin=str(path))
