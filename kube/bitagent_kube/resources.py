"""Where the API server serves the objects of each kind that this project uses."""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import API_VERSION, Resource
from bitagent_crds.validator import Validator


@dataclass(frozen=True, slots=True)
class ApiResource:
    """A namespaced kind and its path in the API."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version within the group."""
        return self.api_version.rpartition("/")[2]

    @property
    def path_of_version(self) -> str:
        """The URL path of the version of the group, which lists the kinds in it."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the URL path of the collection, of an object, or of its subresource."""
        root = self.path_of_version
        return "/".join(p for p in (f"{root}/namespaces/{namespace}/{self.plural}", name, subresource) if p)


def _custom(model: type[Resource]) -> ApiResource:
    return ApiResource(API_VERSION, model.crd.kind, model.crd.plural)


KUEUE_VERSIONS = ("v1beta2", "v1beta1")
"""Versions of Kueue's API of which everything read here is the same."""

MODELS = _custom(MinerModel)
ROUNDS = _custom(EvalRound)
VALIDATORS = _custom(Validator)
JOBS = ApiResource("batch/v1", "Job", "jobs")
PODS = ApiResource("v1", "Pod", "pods")
CONFIG_MAPS = ApiResource("v1", "ConfigMap", "configmaps")
CLAIMS = ApiResource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DEPLOYMENTS = ApiResource("apps/v1", "Deployment", "deployments")
SERVICE_ACCOUNTS = ApiResource("v1", "ServiceAccount", "serviceaccounts")
ROLES = ApiResource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = ApiResource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
SERVICES = ApiResource("v1", "Service", "services")
NETWORK_POLICIES = ApiResource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
DISRUPTION_BUDGETS = ApiResource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
LEASES = ApiResource("coordination.k8s.io/v1", "Lease", "leases")
EVENTS = ApiResource("events.k8s.io/v1", "Event", "events")
CORE_EVENTS = ApiResource("v1", "Event", "events")
"""The same Events in the core API: only there can they be selected by `involvedObject`."""
LOCAL_QUEUES = tuple(ApiResource(f"kueue.x-k8s.io/{each}", "LocalQueue", "localqueues") for each in KUEUE_VERSIONS)
"""Kueue's queues of a namespace, by version of the API, the preferred one first; Kueue need not be installed."""
WORKLOADS = tuple(ApiResource(f"kueue.x-k8s.io/{each}", "Workload", "workloads") for each in KUEUE_VERSIONS)
"""What waits in a queue or has its quota: one for each Job."""

_ALL = (
    MODELS,
    ROUNDS,
    VALIDATORS,
    JOBS,
    PODS,
    CONFIG_MAPS,
    CLAIMS,
    DEPLOYMENTS,
    SERVICE_ACCOUNTS,
    ROLES,
    ROLE_BINDINGS,
    SERVICES,
    NETWORK_POLICIES,
    DISRUPTION_BUDGETS,
    LEASES,
    EVENTS,
    CORE_EVENTS,
)
_BY_KIND = {(each.api_version, each.kind): each for each in _ALL}


def resource_of(api_version: str, kind: str) -> ApiResource:
    """Return the resource of objects with this apiVersion and kind.

    Raises KeyError for one that this project does not use.
    """
    return _BY_KIND[api_version, kind]
