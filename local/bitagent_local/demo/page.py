"""The demo's public page: whether it is ready, and where a browser of this machine finds it."""

from __future__ import annotations

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo.stack import NAMESPACE, RELEASE, Stack

NAME = f"{RELEASE}-leaderboard"
"""The name of its Deployment and Service."""
FORWARDED = 8000
"""The port of this machine that kubectl forwards to the page of another cluster."""
WAIT_SECONDS = 60


def lines(stack: Stack, *, local: bool, seconds: int = WAIT_SECONDS) -> str:
    """Return where the page is, or why it is not ready after some seconds: without it the demo is complete.

    Services of the local node have a route from this machine, those of another cluster have none.
    """
    try:
        stack.kubectl.run("rollout", "status", f"deploy/{NAME}", "-n", NAMESPACE, f"--timeout={seconds}s")
        address = service_address(stack) if local else f"127.0.0.1:{FORWARDED}"
    except ClusterError as error:
        hint = f"kubectl describe pods -n {NAMESPACE} -l app.kubernetes.io/component=leaderboard"
        return f"The public page is not ready ({error}); the rest of the demo is. See '{hint}'"
    if local:
        return f"The public page    http://{address}/    (from elsewhere: ssh -L {FORWARDED}:{address}:80 THIS-MACHINE)"
    forward = f"kubectl port-forward -n {NAMESPACE} svc/{NAME} {FORWARDED}:80"
    return f"The public page    http://{address}/    while this runs: {forward}"


def service_address(stack: Stack) -> str:
    """Return the IP address of the page's Service. Raises ClusterError if there is none."""
    return str(stack.kubectl.get("service", NAME, "-n", NAMESPACE)["spec"]["clusterIP"])
