"""Prints, as JSON, what is installed in the Python that runs this, and whether it is what the locks ask for.

`python inspect_python.py LOCK...`; needs `packaging`. Run in an image by Inspection.Dockerfile.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Left out of images without CUDA, as install.sh does it.
_NVIDIA = ("nvidia-cu", "nvidia-nc", "nvidia-nv", "cuda-", "triton")


def installed() -> dict[str, str]:
    """Name → version of what lies in /opt/trainer, without what PYTHONPATH adds."""
    found = distributions(path=[path for path in sys.path if path.startswith(sys.prefix)])
    return {canonicalize_name(one.metadata["Name"]): one.version for one in found}


def drift(locks: list[Path], versions: dict[str, str]) -> list[str]:
    """How the environment differs from the locks, one line a package."""
    cpu = "torch" in versions and not any(name.startswith(_NVIDIA[0]) for name in versions)
    wanted = {}
    for line in "\n".join(lock.read_text() for lock in locks).splitlines():
        if not line[:1].isalnum():
            continue
        requirement = Requirement(line.rstrip("\\"))
        name = canonicalize_name(requirement.name)
        if (requirement.marker is None or requirement.marker.evaluate()) and not (cpu and name.startswith(_NVIDIA)):
            wanted[name] = requirement
    lines = [f"{name} {version} is in no lock" for name, version in versions.items() if name not in wanted]
    for name, requirement in wanted.items():
        version = versions.get(name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            lines.append(f"{requirement} is locked, {version or 'nothing'} is installed")
    return sorted(lines)


def broken(versions: dict[str, str], replaced: set[str]) -> list[str]:
    """What `pip check` would say; `replaced` are packages that another one stands in for, as uv's
    override-dependencies say."""
    lines = []
    for one in distributions(path=[path for path in sys.path if path.startswith(sys.prefix)]):
        for text in one.requires or []:
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name in replaced or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            version = versions.get(name)
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                lines.append(f"{one.metadata['Name']} needs {requirement}, {version or 'nothing'} is installed")
    return sorted(lines)


def overridden(locks: list[Path]) -> set[str]:
    """The names in override-dependencies of the pyproject.toml beside each lock."""
    names: set[str] = set()
    for file in (lock.with_name("pyproject.toml") for lock in locks):
        if file.exists():
            uv = tomllib.loads(file.read_text()).get("tool", {}).get("uv", {})
            names |= {canonicalize_name(Requirement(text).name) for text in uv.get("override-dependencies", [])}
    return names


if __name__ == "__main__":
    given = [Path(path) for path in sys.argv[1:]]
    present = installed()
    result = {"installed": present, "drift": drift(given, present), "broken": broken(present, overridden(given))}
    sys.stdout.write(json.dumps(result, indent=1) + os.linesep)
