"""How to reach the API server: the pod's service account, else the kubeconfig."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from bitagent_kube.errors import ApiError

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
UNUSABLE = (config.ConfigException, OSError, yaml.YAMLError, TypeError, ValueError, LookupError, AttributeError)
"""Errors of the client library for a kubeconfig: of one that is not YAML, or lacks members, they are any."""
CONNECTIONS = 32
"""Maximum number of connections to the API server."""


async def load_configuration(folder: Path = SERVICE_ACCOUNT_FOLDER) -> Configuration:
    """Return the service account's configuration in a pod, else that of the kubeconfig.

    The kubeconfig is the file that `KUBECONFIG` names, or `~/.kube/config`. Raises ApiError if neither can be used.
    """
    configuration = Configuration()
    try:
        _load_service_account(configuration, folder)
    except config.ConfigException as not_a_pod:
        try:
            with missing_files_not_logged():
                await config.load_kube_config(client_configuration=configuration)
        except UNUSABLE as error:
            raise ApiError(
                code=0,
                reason="NoConfiguration",
                message=f"there is no API server to talk to: no usable kubeconfig ({kubeconfig_files()}; {error}), and "
                f"not in a pod ({not_a_pod}); set KUBECONFIG to a file that names a cluster",
            ) from error
    configuration.connection_pool_maxsize = CONNECTIONS
    return configuration


@contextmanager
def missing_files_not_logged() -> Iterator[None]:
    """Keep the client library from logging each missing kubeconfig: the error that follows names them."""

    def other(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Config not found")

    logger = logging.getLogger("kubernetes.aio.config.kube_config")
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


def kubeconfig_files() -> str:
    """Return which kubeconfig is meant, and whether there is such a file: the client library's errors say neither."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    exists = any(Path(each).expanduser().exists() for each in named.split(os.pathsep) if each)
    return named if exists else f"{named}, which does not exist"


def _load_service_account(configuration: Any, folder: Path) -> None:
    token = folder / "token"
    # Its own refresh would use a renewed token up to a minute late, and leave a line break at its end in the header.
    loader = InClusterConfigLoader(str(token), str(folder / "ca.crt"), try_refresh_token=False, environ=os.environ)
    loader.load_and_set(configuration)
    configuration.refresh_api_key_hook = TokenFile(token)


class TokenFile:
    """The service account's token, read again whenever the kubelet has replaced the file.

    Called by the client library before every request. While the file cannot be read, the last token stays in use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] | None = None
        """Modification time and inode of the file that was read last."""

    def __call__(self, configuration: Any) -> None:
        """Put the current token into the configuration."""
        with suppress(OSError):
            stat = self._path.stat()
            if (stat.st_mtime_ns, stat.st_ino) == self._read:
                return
            if text := self._path.read_text().strip():
                configuration.api_key["BearerToken"] = f"Bearer {text}"
                self._read = (stat.st_mtime_ns, stat.st_ino)
