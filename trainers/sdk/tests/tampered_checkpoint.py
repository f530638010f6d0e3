"""A checkpoint with a file that somebody exchanged, all hashes made to fit, as who can write to the storage could."""

from __future__ import annotations

import hashlib
import json

from vision_trainer.storage import Storage


def copy_checkpoint(storage: Storage, source: str, target: str, name: str, content: bytes) -> str:
    """Copies the checkpoint's folder `source` to `target` with `content` as its file `name`; returns `target`."""
    manifest = json.loads(storage.read_bytes(f"{source}/MANIFEST.json"))
    assert name in {file["name"] for file in manifest["files"]}
    for file in manifest["files"]:
        body = content if file["name"] == name else storage.read_bytes(f"{source}/{file['name']}")
        file.update(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
        storage.upload_bytes(body, f"{target}/{file['name']}")
    storage.upload_bytes(json.dumps(manifest).encode(), f"{target}/MANIFEST.json")
    return target
