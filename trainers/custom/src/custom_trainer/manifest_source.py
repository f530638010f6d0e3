"""Whose code runs, which, and in which Python."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .manifest_part import InnerPath, Part, Template


class License(Part):
    """Whose code this is. `acknowledge`: the job must say `accept_license: true` in its config."""

    spdx: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    acknowledge: bool = False
    notice: Annotated[str, StringConstraints(max_length=1000)] = ""


class Source(Part):
    """Which code runs. The commit is checked after the checkout; a branch or tag is never followed.

    `git`: an https:// address, or `s3://<the platform's bucket>/repositories/<name>.bundle` (`git bundle create`). Left
    out, together with `commit`, in a manifest that lies in the repository itself: the job then names both.
    """

    # Only for manifests that come with this trainer: the code lies beside the manifest, and its hash is its commit.
    folder: InnerPath | None = None
    git: Annotated[str, StringConstraints(max_length=500)] | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    submodules: bool = False
    lfs: bool = False
    max_mb: Annotated[int, Field(ge=1, le=20_000)] = 2000
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 600


class Environment(Part):
    """The Python that runs the repository. Built once per (lock, python, install) and shared by later jobs.

    Left out altogether: the custom trainer's own Python with numpy and Pillow, nothing is installed.
    """

    # "3.11" and so on: found on the machine, or fetched by uv where the job has the network.
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d{1,2}(\.\d{1,2})?$")] = "3.11"
    # The lock (every package with ==, as `uv pip compile` writes it), beside the manifest.
    requirements: InnerPath
    # Run after the lock is in, with the environment's bin folder on PATH, in the repository: only here is the network.
    install: Annotated[list[list[Template]], Field(max_length=20)] = []
    # Put first on PYTHONPATH (a sitecustomize.py in it is imported by every Python that starts). Beside the manifest.
    shims: InnerPath | None = None
    timeout_s: Annotated[float, Field(gt=0, le=7200)] = 1800
