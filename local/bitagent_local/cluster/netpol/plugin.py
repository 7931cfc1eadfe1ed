"""The last CNI plugin of a pod's network: the pod may start when the policy enforcer knows its address.

Imports nothing of this package: containerd executes the file for every pod. CNI passes the command and the pod in the
environment, and the configuration with the result of the previous plugins on standard input; the plugin prints that
result.
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
    if command == "DEL":  # Must always succeed; a dead enforcer forgets by itself.
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
