"""Cloning: from a bare repository on the disk, with everything that git would do if one let it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from vision_trainer.failures import FailureCode, TrainerFailure

from conftest import Bundled
from custom_trainer.manifest_source import Source
from custom_trainer.repository import Wanted, fetch_commit


def git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def fetch(url: Path, commit: str, into: Path, source: Source | None = None) -> Path:
    fetch_commit(str(url), Wanted(str(url), commit, source or Source()), into, protocol="file", network=False)
    return into


@pytest.fixture()
def traps(tmp_path: Path) -> tuple[Path, str]:
    """A bare repository with hooks, a submodule, a filter and a link that leads out."""
    inner, work = tmp_path / "inner", tmp_path / "work"
    for folder in (inner, work):
        folder.mkdir()
        git(folder, "init", "-q")
    (inner / "inner.txt").write_text("from the submodule")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "inner")
    (work / "file.txt").write_text("hello")
    (work / ".gitattributes").write_text("*.txt filter=evil\n")
    (work / "outside").symlink_to("/etc/passwd")
    git(work, "submodule", "add", "-q", str(inner), "sub")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "work")
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    for name in ("post-checkout", "post-merge", "reference-transaction", "pre-receive", "post-upload-pack"):
        hook = bare / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
        hook.chmod(0o755)
    return bare, git(bare, "rev-parse", "HEAD")


def test_nothing_runs_and_nothing_else_is_fetched(
    traps: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration of the user's, hooks and templates are all left out of it."""
    home, template = tmp_path / "home", tmp_path / "template/hooks"
    template.mkdir(parents=True)
    (template / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    (template / "post-checkout").chmod(0o755)
    home.mkdir()
    settings = f'[init]\n templateDir={template.parent}\n[filter "evil"]\n smudge=touch {tmp_path}/filter-ran\n'
    (home / ".gitconfig").write_text(settings)
    monkeypatch.setenv("HOME", str(home))
    found = fetch(*traps, tmp_path / "out")
    assert sorted(path.name for path in found.iterdir()) == [
        ".gitattributes",
        ".gitmodules",
        "file.txt",
        "outside",
        "sub",
    ]
    assert list((found / "sub").iterdir()) == []
    assert not (tmp_path / "hook-ran").exists() and not (tmp_path / "filter-ran").exists()


def test_an_older_commit_of_a_branch(sample: Bundled, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git(tmp_path, "clone", "-q", str(sample.bare), str(work))
    (work / "new.txt").write_text("new")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "newer")
    assert not (fetch(work, sample.commit, tmp_path / "out") / "new.txt").exists()


def test_bundles_whole_and_of_a_shallow_clone(sample: Bundled, tmp_path: Path) -> None:
    work, shallow = tmp_path / "work", tmp_path / "shallow"
    git(tmp_path, "clone", "-q", str(sample.bare), str(work))
    (work / "new.txt").write_text("new")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "newer")
    newest = git(work, "rev-parse", "HEAD")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{work}", str(shallow))
    for folder in (work, shallow):
        git(folder, "bundle", "create", "-q", str(folder.with_suffix(".bundle")), "--all")
    assert (fetch(shallow.with_suffix(".bundle"), newest, tmp_path / "one") / "new.txt").exists()
    assert (fetch(work.with_suffix(".bundle"), newest, tmp_path / "two") / "new.txt").exists()
    assert not (fetch(work.with_suffix(".bundle"), sample.commit, tmp_path / "three") / "new.txt").exists()
    with pytest.raises(TrainerFailure):
        fetch(shallow.with_suffix(".bundle"), sample.commit, tmp_path / "four")


@pytest.mark.parametrize(
    ("source", "words"),
    [({"max_mb": 1}, "larger than 1 MB"), ({"submodules": True}, "git submodule failed")],
)
def test_limits_and_protocols(traps: tuple[Path, str], tmp_path: Path, source: dict[str, object], words: str) -> None:
    """Too large is refused while it comes; a submodule elsewhere on the disk is behind the walls."""
    bare, commit = traps
    if "max_mb" in source:
        work = tmp_path / "work"
        (work / "large.bin").write_bytes(os.urandom(3 << 20))
        git(work, "add", "-A")
        git(work, "commit", "-qm", "large")
        bare, commit = work, git(work, "rev-parse", "HEAD")
    with pytest.raises(TrainerFailure) as failure:
        fetch(bare, commit, tmp_path / "out", Source.model_validate(source))
    assert failure.value.code is FailureCode.MODEL_UNAVAILABLE
    assert words in failure.value.message or "git fetch failed" in failure.value.message


def test_other_protocols_are_not_spoken(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    url = f"ext::sh -c 'touch {marker}'"
    with pytest.raises(TrainerFailure):
        fetch_commit(url, Wanted(url, "0" * 40, Source()), tmp_path / "out", protocol="https", network=False)
    assert not marker.exists()


def test_what_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "junk.bundle").write_bytes(b"# v2 git bundle\nnonsense")
    for name in ("junk.bundle", "none.git"):
        with pytest.raises(TrainerFailure) as failure:
            fetch(tmp_path / name, "0" * 40, tmp_path / f"out-{name}")
        assert failure.value.code is FailureCode.MODEL_UNAVAILABLE
