"""A repository's own environment: built offline from wheels in the storage, kept in the cache, refused with the
reason."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Bundled, Jobs, make_bundle
from custom_trainer.manifest_file import READY_MANIFESTS

_TRAIN = """
import json, os, sys
import tiny_package, shim_was_here
out = sys.argv[1]
try:
    import vision_trainer
    print("the kit is importable")
except ImportError:
    pass
print("answer", tiny_package.ANSWER, sys.version_info[:2], flush=True)
with open(out + "/log.txt", "w") as log:
    log.write(json.dumps({"epoch": 0, "acc": 50.0}) + "\\n")
open(out + "/checkpoint-0.npz", "w").write("weights")
open(out + "/done", "w").write("")
"""


def wheel() -> bytes:
    """A wheel with one module, as PEP 427 has it."""
    files = {
        "tiny_package.py": b"ANSWER = 42\n",
        "tiny_package-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n",
        "tiny_package-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    files["tiny_package-1.0.dist-info/RECORD"] = "".join([*lines, "tiny_package-1.0.dist-info/RECORD,,\n"]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def repository(jobs: Jobs, folder: Path, name: str, lock: str, **environment: Any) -> Bundled:
    """A repository whose manifest asks for an environment of its own."""
    source = folder / name
    (source / "shims").mkdir(parents=True)
    (source / "shims/shim_was_here.py").write_text("")
    (source / "train.py").write_text(_TRAIN)
    (source / "requirements.lock").write_text(lock)
    content = yaml.safe_load((READY_MANIFESTS / "reference/manifest.yaml").read_text())
    content |= {
        "source": {},
        "environment": {"requirements": "requirements.lock", "shims": "shims", **environment},
        "commands": {"train": ["python", "train.py", "${output}"]},
    }
    (source / "vision-trainer.yaml").write_text(yaml.safe_dump(content))
    return make_bundle(jobs.storage, jobs.server.bucket, folder, [source], name + "-git")


def config(bundled: Bundled) -> str:
    return json.dumps({"git_url": bundled.git_url, "commit": bundled.commit})


def test_built_from_wheels_and_then_kept(jobs: Jobs, tmp_path: Path) -> None:
    lock = "tiny-package==1.0\n"
    bundled = repository(jobs, tmp_path, "own", lock)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("tiny_package-1.0-py3-none-any.whl")
        content = wheel()
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    address = f"s3://{jobs.server.bucket}/environments/{hashlib.sha256(lock.encode()).hexdigest()}.tar"
    jobs.storage.upload_bytes(buffer.getvalue(), address)
    first = jobs.start(CONFIG_JSON=config(bundled), EPOCHS="1")
    assert first.wait() == 0, first.log
    said = "\n".join(entry["message"] for entry in first.events_of("log"))
    assert "answer 42" in said and "Installing the environment" in said and "importable" not in said
    jobs.storage.delete(address)
    second = jobs.start(CONFIG_JSON=config(bundled), EPOCHS="1")
    assert second.wait() == 0, second.log
    assert not any("Installing" in entry["message"] for entry in second.events_of("log"))


@pytest.mark.parametrize(
    ("lock", "environment", "words"),
    [
        ("no-such-package-anywhere==9.9\n", {}, "no network, ALLOW_NETWORK=0"),
        ("tiny-package==1.0\n", {"python": "3.7"}, "no Python 3.7"),
        ("", {"install": [["python", "-c", "raise SystemExit('half way')"]]}, "half way"),
        ("", {"install": [["python", "-c", "import time; time.sleep(60)"]], "timeout_s": 4}, "took longer"),
    ],
)
def test_what_cannot_be_built_is_said(
    jobs: Jobs, tmp_path: Path, lock: str, environment: dict[str, Any], words: str
) -> None:
    bundled = repository(jobs, tmp_path, "broken", lock, **environment)
    trainer = jobs.start(CONFIG_JSON=config(bundled), EPOCHS="1")
    assert trainer.wait() == 4, trainer.log
    [failed] = trainer.events_of("failed")
    assert words in failed["message"], failed["message"]
    assert trainer.left_behind() == []
