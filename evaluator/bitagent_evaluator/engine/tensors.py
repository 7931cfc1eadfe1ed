"""The tensors of a checkpoint as its weight files' headers list them; nothing of the weights themselves is read."""

from __future__ import annotations

from pathlib import Path

from bitagent_evaluator.safety.headers import LENGTH_BYTES, Tensor, header_bytes, parse_header
from bitagent_evaluator.safety.selection import weight_files


def weight_paths(model_dir: Path) -> list[Path]:
    """The weight files of a model's directory, sorted by name."""
    return [model_dir / name for name in weight_files(entry.name for entry in model_dir.iterdir())]


def file_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one weight file. Raises bounded.worker.Refused on a broken header."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(LENGTH_BYTES)
        data = first + file.read(header_bytes(path.name, first, size) - LENGTH_BYTES)
    return parse_header(path.name, data, size)


def model_tensors(model_dir: Path) -> dict[str, Tensor]:
    """The tensors of all weight files together. Raises bounded.worker.Refused on a broken header."""
    return {name: tensor for path in weight_paths(model_dir) for name, tensor in file_tensors(path).items()}
