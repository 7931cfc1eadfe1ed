"""Types, storage keys and neutral values by the metadata: a typed interface to ``bittensor_core.Runtime``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import bittensor_core

from bitagent_local.chain import metadata


class Runtime:
    """The runtime of one chain; immutable, shared by all code that encodes or decodes."""

    def __init__(self, *, milliseconds_per_block: int, upgrades: int = 0) -> None:
        self.milliseconds_per_block = milliseconds_per_block
        self.upgrades = upgrades
        self.spec_version = metadata.SPEC_VERSION + upgrades
        self.metadata = metadata.served(milliseconds_per_block, upgrades=upgrades)
        self.core: Any = bittensor_core.Runtime(
            self.metadata, self.spec_version, metadata.TRANSACTION_VERSION, metadata.SS58_FORMAT
        )
        self.types: dict[int, dict[str, Any]] = {
            entry["id"]: entry["type"] for entry in json.loads(self.core.registry_json())["types"]
        }
        self.apis: dict[str, dict[str, dict[str, Any]]] = self.core.runtime_api_map()
        pallets = self.core.metadata_ir()["pallets"]
        self._pallet_index = {pallet["name"]: pallet["index"] for pallet in pallets}
        self._error_index = {
            (pallet["name"], error["name"]): error["index"] for pallet in pallets for error in pallet["errors"]
        }

    def upgraded(self) -> Runtime:
        """Return the runtime after one more upgrade."""
        return Runtime(milliseconds_per_block=self.milliseconds_per_block, upgrades=self.upgrades + 1)

    def encode(self, type_name: str, value: Any) -> bytes:
        """Encode a value as a type such as ``scale_info::41``."""
        return bytes(self.core.encode(type_name, value))

    def decode(self, type_name: str, data: bytes) -> Any:
        """Decode bytes of a type into plain Python data."""
        return self.core.decode(type_name, data)

    def storage_key(self, pallet: str, item: str, params: Sequence[Any]) -> bytes:
        """Return the hashed key of one storage value."""
        return bytes(self.core.storage_key(pallet, item, list(params)))

    def module_error(self, pallet: str, name: str) -> dict[str, Any]:
        """Return a dispatch error as events carry it. Raises KeyError if the pallet has no error of this name."""
        code = bytes([self._error_index[(pallet, name)], 0, 0, 0])
        return {"Module": {"index": self._pallet_index[pallet], "error": "0x" + code.hex()}}

    def inner_type(self, type_name: str) -> int:
        """Return the element type's id of an ``Option`` or a ``Vec``."""
        definition = self.types[type_id(type_name)]["def"]
        if "sequence" in definition:
            return int(definition["sequence"]["type"])
        return int(definition["variant"]["variants"][1]["fields"][0]["type"])

    def record(self, type_number: int, **fields: Any) -> dict[str, Any]:
        """Return a composite value with these fields and neutral values in all others.

        Raises KeyError if the type lacks one of the fields.
        """
        value: dict[str, Any] = self.neutral(type_number)
        if unknown := fields.keys() - value.keys():
            raise KeyError(f"type {self.types[type_number]['path']} has no field {', '.join(sorted(unknown))}")
        return value | fields

    def neutral(self, type_number: int) -> Any:
        """Return the neutral value of a type: zero, empty, ``None``, the first variant."""
        described = self.types[type_number]
        kind, definition = next(iter(described["def"].items()))
        name = (described.get("path") or [""])[-1]
        match kind:
            case "primitive":
                return {"bool": False, "str": ""}.get(definition, 0)
            case "compact":
                return 0
            case "sequence":
                return []
            case "array":
                return self._neutral_array(definition)
            case "tuple":
                return tuple(self.neutral(member) for member in definition)
            case "variant":
                return None if name == "Option" else self._neutral_variant(definition["variants"][0])
        if name == "AccountId32":
            return bittensor_core.ss58_encode(bytes(32), metadata.SS58_FORMAT)
        fields = definition.get("fields", [])
        if fields and fields[0].get("name"):
            return {field["name"]: self.neutral(field["type"]) for field in fields}
        members = tuple(self.neutral(field["type"]) for field in fields)
        return members[0] if len(members) == 1 else members

    def _neutral_array(self, definition: dict[str, Any]) -> Any:
        if self.types[definition["type"]]["def"].get("primitive") == "u8":
            return "0x" + "00" * definition["len"]
        return [self.neutral(definition["type"])] * definition["len"]

    def _neutral_variant(self, variant: dict[str, Any]) -> Any:
        fields = variant.get("fields")
        return {variant["name"]: self.neutral(fields[0]["type"])} if fields else variant["name"]


def type_id(type_name: str) -> int:
    """Return the registry number in a name such as ``scale_info::41``."""
    return int(type_name.split("::")[1])
