"""Reads what `docker save` writes from stdin; prints {layer's digest: bytes as registries send it} as JSON.

Registries send layers packed by gzip; engines keep them unpacked, so they are packed here to know. Some GB take
minutes.
"""

import hashlib
import json
import re
import sys
import tarfile
import zlib

_LAYER = re.compile(r"(.*/layer\.tar|blobs/sha256/[0-9a-f]{64})")
_PART = 1 << 20

sizes = {}
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as saved:
    for member in saved:
        file = saved.extractfile(member) if member.isfile() and _LAYER.fullmatch(member.name) else None
        if file is None:
            continue
        digest, packer, packed = hashlib.sha256(), zlib.compressobj(6, wbits=31), 0
        while part := file.read(_PART):
            digest.update(part)
            packed += len(packer.compress(part))
        sizes[f"sha256:{digest.hexdigest()}"] = packed + len(packer.flush())
json.dump(sizes, sys.stdout)
