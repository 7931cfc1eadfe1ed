"""Configuration of the operator: one YAML file, written by the chart, read once at start."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from bitagent_crds.fields import JobSecretKey

CONFIG_VARIABLE = "BITAGENT_CONFIG"
DEFAULT_PATH = Path("/etc/bitagent/config.yaml")

_PLACE = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?$"
Text = Annotated[str, Field(min_length=1)]
Bytes = Annotated[int, Field(ge=0)]


class ConfigError(Exception):
    """Raised when the configuration is invalid; the message names the member and the cause."""


class Section(BaseModel):
    """Base of all sections: camelCase in the file, unknown members refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Images(Section):
    """Container images."""

    evaluator: Text
    """Image of all Jobs."""
    validator: Text
    """Image of the pod that sets weights."""
    examiner: str = ""
    """Image of the container that scores miners' answers, a build of the evaluator's; empty: that of Jobs."""


class CacheMode(StrEnum):
    """Where fetched models are."""

    SHARED = "Shared"
    """In one volume that pods on all nodes use."""
    VOLUME_PER_MODEL = "VolumePerModel"
    """Each in a volume of its own, as large as its files, that one node uses at a time."""


class ModelCache(Section):
    """Where fetched models are kept."""

    mode: CacheMode = CacheMode.SHARED
    """Whether models share a volume."""
    claim_name: str = ""
    """PersistentVolumeClaim of the model cache, in mode Shared."""
    storage_class_name: str | None = None
    """StorageClass of the claims in mode VolumePerModel; absent: the cluster's default."""
    max_bytes: Bytes = 0
    """Size that the cache is kept under; 0: unlimited. In mode VolumePerModel that of all claims together."""
    max_model_bytes: Bytes = 64 * 2**30
    """Largest model that is fetched."""
    max_hotkey_bytes: Bytes = 0
    """Share of one hotkey; 0: a quarter of `max_bytes`, but at least `max_model_bytes`."""

    @model_validator(mode="after")
    def _has_a_claim(self) -> ModelCache:
        if self.mode is CacheMode.SHARED and not self.claim_name:
            raise ValueError("mode Shared needs claimName, the PersistentVolumeClaim of the model cache")
        return self

    @property
    def per_model(self) -> bool:
        """Whether each model has a volume of its own."""
        return self.mode is CacheMode.VOLUME_PER_MODEL

    @property
    def hotkey_share(self) -> int:
        """Bytes that the models of one hotkey may take; 0: unlimited."""
        if self.max_hotkey_bytes or not self.max_bytes:
            return self.max_hotkey_bytes
        return min(self.max_bytes, max(self.max_bytes // 4, self.max_model_bytes))


class Artifacts(Section):
    """The volume that holds task sets and results."""

    claim_name: Text
    """PersistentVolumeClaim of the artifacts."""


class Archive(Section):
    """S3-compatible storage for the files of finished rounds."""

    url: Annotated[str, Field(pattern=_PLACE, max_length=300)]
    """`s3://<bucket>/<prefix>`; a round's archive is `<url>/<namespace>/<round>-<uid>/<time>`."""
    endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Address of the server; absent: that of AWS in `region`."""
    region: Text = "us-east-1"
    secret_name: Text
    """Secret with the keys access-key-id and secret-access-key; the operator never reads it."""
    ca_config_map: Text | None = None
    """ConfigMap with the key ca.crt: authorities to trust beside the system's."""
    path_style: bool = True
    """Whether the bucket is in the path of a request, not in the name of the host."""


class Retention(Section):
    """Which finished rounds keep their files on the artifact volume.

    Where there is an archive, only files that it holds are removed.
    """

    ttl_seconds: Annotated[int, Field(ge=0)] | None = None
    """Age from which on files are removed; absent: any."""
    rounds_per_validator: Annotated[int, Field(ge=1)] | None = None
    """Newest rounds of a Validator that keep their files; absent: any number."""
    min_free_bytes: Bytes = 0
    """Free space of the volume for which the files of older rounds are removed, the oldest first; 0: none."""


class Hub(Section):
    """The model hub."""

    endpoint: Text = "https://huggingface.co"
    """Address of the hub; only fetch Jobs and the task-set Jobs of rounds with a huggingFace source reach it."""
    token_secret_ref: JobSecretKey | None = None
    """The operator's own token, for models that name none; absent: they are fetched without one."""


class SecurityContext(Section):
    """The part of the pods' security context that platforms differ in."""

    run_as_user: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = 65532
    """User and group of all processes, and the group that owns their volumes; None: the platform assigns them."""


class Fetching(Section):
    """How many fetch Jobs run at once in the namespace."""

    max_parallel: Annotated[int, Field(ge=1, le=1000)] = 8
    """Jobs that download files."""
    max_resolutions: Annotated[int, Field(ge=1, le=1000)] = 32
    """Jobs that only resolve a revision for a round that waits for it; each takes seconds."""


class EvaluationSettings(Section):
    """How many evaluation Jobs of all rounds run at once in the namespace."""

    max_parallel: Annotated[int, Field(ge=0, le=10000)] = 0
    """Jobs that hold GPUs, shared between rounds by `workload.weight`; 0: any number. Queues decide about their own."""


class PodSize(Section):
    """Resources of a pod without a GPU."""

    cpu: Text = "500m"
    """CPU request."""
    cpu_limit: str = ""
    """CPU limit, which a quota may require; empty: none."""
    memory: Text = "1Gi"
    """Memory request and limit."""
    ephemeral_storage: Text = "1Gi"
    """Request of the node's disk, and size limit of /tmp."""


class Placement(Section):
    """Where pods run and what they carry; what is empty is left to others."""

    node_selector: dict[str, str] = {}
    """Labels of nodes."""
    tolerations: tuple[dict[str, Any], ...] = ()
    """core/v1 Tolerations."""
    affinity: dict[str, Any] = {}
    """core/v1 Affinity."""
    topology_spread_constraints: tuple[dict[str, Any], ...] = ()
    """core/v1 TopologySpreadConstraints."""
    labels: dict[str, str] = {}
    """Labels of the Job and its pods, beside our own."""
    annotations: dict[str, str] = {}
    """Annotations of the Job and its pods, beside our own."""
    priority_class_name: str = ""
    runtime_class_name: str = ""


class Additions(Section):
    """What containers have beside what they need."""

    env: tuple[dict[str, Any], ...] = ()
    """core/v1 EnvVars."""
    env_from: tuple[dict[str, Any], ...] = ()
    """core/v1 EnvFromSources."""
    volumes: tuple[dict[str, Any], ...] = ()
    """core/v1 Volumes."""
    volume_mounts: tuple[dict[str, Any], ...] = ()
    """core/v1 VolumeMounts."""


class JobPods(PodSize, Placement, Additions):
    """Jobs of one kind: what its placement leaves empty is that of all Jobs; labels and the rest add up."""

    queue_name: str = ""
    """LocalQueue of Kueue: these Jobs are created suspended, with the queue's label; empty: none."""


class EvaluatePods(Placement, Additions):
    """Evaluation Jobs. A round's `workload` comes before all of it."""

    cpu_limit: str = ""
    """CPU limit, which a quota may require; empty: none. It must not be below a round's `workload.resources.cpu`."""


class JobSettings(Placement, Additions):
    """Settings of the pods of all Jobs, and of each kind."""

    fetch: JobPods = JobPods()
    task_set: JobPods = JobPods()
    evaluate: EvaluatePods = EvaluatePods()
    archive: JobPods = JobPods()


class ExaminerSettings(Additions):
    """Settings of the container that scores miners' answers, in the pod of a Validator that asks them."""

    resources: PodSize = PodSize(cpu="100m", cpu_limit="1", memory="1Gi", ephemeral_storage="64Mi")


class ValidatorSettings(Placement, Additions):
    """Settings of the pod that sets weights."""

    resources: PodSize = PodSize(cpu="100m", memory="512Mi")
    examiner: ExaminerSettings = ExaminerSettings()


class Watching(Section):
    """Which namespaces are watched."""

    namespaces: tuple[Text, ...] = ()
    """Their names; empty: that of the release alone."""

    @field_validator("namespaces")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("a namespace is named twice")
        return names


class Config(Section):
    """The whole configuration."""

    namespace: Text
    """The release's namespace; what works in one namespace has a copy with that one (`within`)."""
    watch: Watching = Watching()
    deployment: str = ""
    """The operator's own Deployment, and the RoleBindings of its release; empty: unknown."""
    images: Images
    image_pull_policy: Text = "IfNotPresent"
    image_pull_secrets: tuple[Text, ...] = ()
    """Names of Secrets."""
    cache: ModelCache
    artifacts: Artifacts
    archive: Archive | None = None
    """Where the files of finished rounds are archived; absent: nowhere."""
    retention: Retention | None = None
    """Which finished rounds keep their files on the artifact volume; absent: all of them."""
    hub: Hub = Hub()
    fetch: Fetching = Fetching()
    evaluations: EvaluationSettings = EvaluationSettings()
    gpu_resource_name: Text = "nvidia.com/gpu"
    """Extended resource that evaluation pods ask for."""
    security_context: SecurityContext = SecurityContext()
    jobs: JobSettings = JobSettings()
    validator: ValidatorSettings = ValidatorSettings()
    models_per_hotkey: Annotated[int, Field(ge=0, le=1000)] = 8
    """MinerModels of one hotkey that are fetched, the oldest first; 0: any number."""
    relist_seconds: Annotated[float, Field(ge=1)] = 300
    """Time between full lists, which find changes that an interrupted watch missed."""
    unschedulable_seconds: Annotated[float, Field(ge=0)] = 300
    """Grace period before an unschedulable pod is reported."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /healthz and /readyz; 0 selects any free port."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 9090
    """Port of /metrics; 0 selects any free port."""

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of the namespaces that are watched."""
        return self.watch.namespaces or (self.namespace,)

    def within(self, namespace: str) -> Config:
        """Return the configuration for the objects of one of these namespaces."""
        return self.model_copy(update={"namespace": namespace, "watch": Watching()})

    @property
    def archive_uri(self) -> str:
        """Place of all archives of the namespace; empty without an archive."""
        return f"{self.archive.url.rstrip('/')}/{self.namespace}" if self.archive is not None else ""


def parse(text: str, *, origin: str) -> Config:
    """Parse the configuration from a YAML text. Raises ConfigError, which names `origin` and each bad member."""
    try:
        return Config.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or '(file)'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"{origin}: bad configuration:", *lines])) from error


def path() -> Path:
    """Return the file named by BITAGENT_CONFIG."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_PATH))


def load() -> Config:
    """Read the configuration from its file. Raises ConfigError."""
    file = path()
    try:
        text = file.read_text()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); set {CONFIG_VARIABLE} to the file") from error
    return parse(text, origin=str(file))
