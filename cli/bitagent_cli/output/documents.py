"""JSON and YAML: complete, and printable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bitagent_cli.output.terminal import Terminal
from bitagent_crds.printable import printable_json
from bitagent_kube.objects import Obj
from bitagent_kube.resources import ApiResource


def write(terminal: Terminal, document: Any, form: str) -> None:
    """Write a document as `json` or `yaml`; characters that are not printable are escaped, as the format does."""
    if form == "json":
        # Escapes of the stream would not be those of JSON.
        unicode = (terminal.out.encoding or "utf-8").lower().startswith("utf")
        terminal.out.write(printable_json(json.dumps(document, indent=2, ensure_ascii=not unicode)) + "\n")
        return
    import yaml  # takes 30 ms, and only this needs it

    terminal.out.write(yaml.safe_dump(document, sort_keys=False, width=120))


def complete(obj: Obj, resource: ApiResource) -> Obj:
    """Return an object with its kind, as `kubectl get -o json` shows it, without managed fields."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj, "metadata": metadata}


def listed(objects: Sequence[Obj], resource: ApiResource) -> Obj:
    """Return objects as a List."""
    return {"apiVersion": "v1", "kind": "List", "items": [complete(obj, resource) for obj in objects]}
