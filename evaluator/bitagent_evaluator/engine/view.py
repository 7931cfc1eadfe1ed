"""The directory that the engine loads from: links to the weight files, and the configuration that was checked. Nothing else.

The engine cannot stumble over what it does not see: generation settings, tokenizer files and unknown members of the configuration stay
outside, and the weights cannot be exchanged for a pickle.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitagent_evaluator.safety.selection import CONFIG, INDEX, weight_files


@contextmanager
def model_view(model_dir: Path, config: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary directory for the engine, removed at the end."""
    view = Path(tempfile.mkdtemp(prefix="model-"))
    try:
        (view / CONFIG).write_text(json.dumps(config))
        names = weight_files(entry.name for entry in model_dir.iterdir())
        if (model_dir / INDEX).exists():
            names.append(INDEX)
        for name in names:
            (view / name).symlink_to((model_dir / name).resolve())
        yield view
    finally:
        shutil.rmtree(view, ignore_errors=True)
