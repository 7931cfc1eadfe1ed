"""A document that a person names: a file, standard input, a web address, or a round of a cluster by kubectl.

For `er/NAME` the program `kubectl` is run, as a person would run it, and its output is read like a file. Nothing else
in the evaluator knows of a cluster.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRound
from bitagent_crds.fields import Name
from bitagent_evaluator.support.http import check_address
from bitagent_evaluator.support.http_resource import HttpErrors, HttpResource

MAX_BYTES = 32 << 20
"""Largest document; etcd holds objects of 1.5 MB at most."""
_IN_CLUSTER = re.compile(rf"(?:er|evalrounds?|{EvalRound.crd.plural}\.bitagent\.io)/(.+)")
_KUBECTL_SECONDS = 60
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_WEB = HttpErrors(
    final=Reason.FETCH_FAILED,
    unavailable=Reason.HUB_UNAVAILABLE,
    advice="is the address right, and the network up?",
)


class DocumentError(Exception):
    """The document cannot be read or used; the message says what it is, and what to give instead."""


def read_document(source: str, *, namespace: str | None = None) -> Any:
    """Return the document of a file, of `-`, of a web address, or of er/NAME.

    Raises DocumentError, and FetchError if a server does not answer.
    """
    if source == "-":
        return parse_document(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input")
    if source.startswith(("http://", "https://")):
        return parse_document(_download(source), source)
    path = Path(source)
    if not path.exists() and (found := _IN_CLUSTER.fullmatch(source)):
        return parse_document(_kubectl(found.group(1), namespace), source)
    try:
        path = path / "manifest.json" if path.is_dir() else path
        return parse_document(path.read_bytes(), str(path))
    except OSError as error:
        raise DocumentError(
            f"{path}: {error.strerror}; give the file of an EvalRound or of a result, its web address, er/NAME, or - "
            "for standard input"
        ) from error


def _download(url: str) -> bytes:
    try:
        check_address(url)
    except ValueError as error:
        raise DocumentError(str(error)) from None
    return b"".join(HttpResource(url, url, _WEB, MAX_BYTES).stream())


def _kubectl(name: str, namespace: str | None) -> bytes:
    try:
        _NAME.validate_python(name)
        _NAME.validate_python(namespace or "default")
    except ValidationError:
        raise DocumentError(f"er/{name}: no name of a round, or {namespace} none of a namespace") from None
    resource = f"{EvalRound.crd.plural}.bitagent.io"
    command = ["kubectl", "get", resource, name, "-o", "json", *(["-n", namespace] if namespace else [])]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=_KUBECTL_SECONDS, check=False)
    except FileNotFoundError:
        raise DocumentError(
            f"er/{name}: kubectl is not installed here. Where it is, run `kubectl get er {name} -o json > round.json`, "
            "and give round.json"
        ) from None
    except subprocess.TimeoutExpired:
        raise DocumentError(f"er/{name}: kubectl did not answer within {_KUBECTL_SECONDS} s") from None
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise DocumentError(f"er/{name}: kubectl says: {said[-1] if said else f'exit code {ended.returncode}'}")
    return ended.stdout


class _WithoutAliases(yaml.SafeLoader):
    """YAML without aliases, by which a short text can stand for any amount of data."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(problem="aliases are not read")
        return super().compose_node(parent, index)


def parse_document(content: bytes, what: str) -> Any:
    """Return the JSON or YAML document; of several YAML documents, a list. Raises DocumentError."""
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{what} is larger than {MAX_BYTES} bytes: no EvalRound and no manifest")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        pass
    try:
        documents = [document for document in yaml.load_all(content, _WithoutAliases) if document is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentError(f"{what} is neither YAML nor JSON: {error}") from error
    return documents[0] if len(documents) == 1 else documents
