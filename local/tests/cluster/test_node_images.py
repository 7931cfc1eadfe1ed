"""Images of one file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from bitagent_local.cluster.node_images import write_image


def test_an_image_of_one_file(tmp_path: Path) -> None:
    binary = tmp_path / "thing"
    binary.write_bytes(b"\x7fELF" + bytes(1000))
    write_image(tmp_path / "image.tar", name="here/thing:1", binary=binary, user="65532:65532")
    with tarfile.open(tmp_path / "image.tar") as tar:
        contents = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    for path, data in contents.items():
        if path.startswith("blobs/"):
            assert path == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"

    def blob(digest: str) -> bytes:
        return contents["blobs/" + digest.replace(":", "/")]

    (described,) = json.loads(contents["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "here/thing:1"
    manifest = json.loads(blob(described["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    assert config["config"] == {"Entrypoint": ["/thing"], "User": "65532:65532"}
    layer = blob(manifest["layers"][0]["digest"])
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        (entry,) = tar.getmembers()
        assert (entry.name, entry.mode, entry.uid) == ("thing", 0o755, 0)
