"""The last CNI plugin of a pod's network: lets the pod start when the policy enforcer knows its address.

Stands alone (no import of this package): containerd executes it for every pod. CNI gives the command and the pod in the
environment, the configuration with the result of the plugins before on standard input, and takes that result back.
"""

import json
import os
import socket
import sys


def main() -> int:
    """Run one CNI command."""
    command = os.environ["CNI_COMMAND"]
    config = json.load(sys.stdin)
    if command == "VERSION":
        json.dump({"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}, sys.stdout)
        return 0
    if command not in ("ADD", "DEL"):
        return 0
    pod = dict(part.partition("=")[::2] for part in os.environ.get("CNI_ARGS", "").split(";"))
    result = config.get("prevResult") or {}
    request = {
        "command": command,
        "namespace": pod.get("K8S_POD_NAMESPACE", ""),
        "name": pod.get("K8S_POD_NAME", ""),
        "address": next((ip["address"].partition("/")[0] for ip in result.get("ips", [])), ""),
    }
    try:
        answer = ask(config["socket"], request)
    except OSError as error:
        answer = f"the policy enforcer does not answer: {error}"
    if command == "DEL":  # Must succeed always; a dead enforcer forgets by itself.
        return 0
    if answer != "ok":
        json.dump({"cniVersion": "1.0.0", "code": 11, "msg": answer}, sys.stdout)  # 11: try again later.
        return 1
    json.dump(result, sys.stdout)
    return 0


def ask(path: str, request: dict[str, str]) -> str:
    """Send one request to the enforcer and return its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(12)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return connection.makefile().read()


if __name__ == "__main__":
    sys.exit(main())
