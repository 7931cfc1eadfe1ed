"""The list of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.images.catalogue import ROOT, catalogue, spec_of
from bitagent_local.images.spec import files


def test_an_unlisted_image_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"lists no image 'nothing', only .*operator"):
        spec_of("nothing")


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_each_listed_image_declares_what_its_dockerfile_copies(name: str) -> None:
    spec = catalogue()[name]
    listed = {path.relative_to(ROOT) for path in files(spec)}
    for line in spec.dockerfile.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                for key, value in spec.args.items():
                    source = source.replace(f"${{{key}}}", value)
                source_path = Path(source)
                assert any(path == source_path or source_path in path.parents for path in listed), (
                    f"{source} is not in the context"
                )
