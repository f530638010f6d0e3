"""The walls themselves: as this user, as a user of its own, and as one who may do nothing special."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vision_trainer.failures import TrainerFailure

from custom_trainer import confinement
from custom_trainer.confinement import Walls, become_guardian, end_everything, launch

SYSTEM_PYTHON = Path("/usr/bin/python3")
_TRY = """
import json, os, socket, sys
found = {"uid": os.getuid()}
def attempt(name, action):
    try:
        action()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
attempt("inside", lambda: open("inside", "w").close())
attempt("outside", lambda: open(sys.argv[1], "w").close())
attempt("shm", lambda: open("/dev/shm/walls-test", "w").close())
attempt("environ", lambda: open(f"/proc/{os.getppid()}/environ").read())
attempt("parent", lambda: os.kill(os.getppid(), 0))
attempt("network", lambda: socket.create_connection(("192.0.2.1", 80), 1))
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
attempt("loopback", lambda: socket.create_connection(server.getsockname(), 1))
attempt("passwords", lambda: open("/etc/shadow").read())
print(json.dumps(found))
"""


def has_landlock() -> bool:
    return sys.platform == "linux" and confinement.landlock_version() > 0


pytestmark = pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")


def run(
    folder: Path, python: Path, outside: Path, uid: int | None = None
) -> tuple[dict[str, object], dict[str, object]]:
    """(the walls, what the program could do)."""
    work = folder / "work"
    work.mkdir()
    folder.chmod(0o711)
    if uid is not None:
        os.chown(work, uid, uid)
    output = folder / "output"
    walls = Walls(write=[work], read=[Path(sys.prefix), Path(sys.base_prefix).resolve()], uid=uid)
    with output.open("wb") as file:
        confined = launch(
            [str(python), "-c", _TRY, str(outside)], cwd=work, env={}, walls=walls, stdout=file, stderr=file
        )
    assert confined.process.wait(20) == 0, output.read_text()
    end_everything(confined)
    return confined.walls, json.loads(output.read_text())


def test_as_this_user(tmp_path: Path) -> None:
    walls, found = run(tmp_path, Path(sys.executable), tmp_path / "outside")
    assert found["inside"] == found["shm"] == "done"
    assert found["outside"] == found["environ"] == found["passwords"] == "PermissionError"
    assert found["network"] != "done"
    assert walls["landlock"] and walls["network"] in ("isolated", "tcp_denied")
    assert not Path("/dev/shm/walls-test").exists() or walls["namespaces"] == "none"
    if walls["namespaces"] != "none":
        assert found["loopback"] == "done"


@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root and a Python for everybody")
def test_as_a_user_of_its_own() -> None:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        uid = confinement.job_user()
        if uid is None or not confinement.usable_by(uid, SYSTEM_PYTHON, Path("/")):
            pytest.skip("this process may not change users")
        walls, found = run(folder, SYSTEM_PYTHON, Path("/var/tmp/walls-outside"), uid)
        assert found["uid"] == uid and walls["user"] == str(uid)
        assert found["inside"] == "done" and found["outside"] == found["environ"] == "PermissionError"
        left = Path("/var/tmp/left-by-test")
        left.write_text("x")
        os.chown(left, uid, uid)
        assert confinement.remove_traces(uid) == [str(left)] and not left.exists()
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root to become somebody else")
def test_as_nobody_special() -> None:
    """A trainer that is not root: a user namespace cuts the network off, or at least TCP is denied."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    enter = shutil.copy(Path(confinement.__file__).with_name("enter.py"), folder)
    try:
        folder.chmod(0o755)
        (folder / "work").mkdir()
        os.chown(folder / "work", 61_111, 61_111)
        spec = {
            "argv": [str(SYSTEM_PYTHON), "-c", _TRY, "/var/tmp/walls-outside"],
            "cwd": str(folder / "work"),
            "env": {},
            "confine": True,
            "network": False,
            "uid": None,
            "read": [],
            "write": [str(folder / "work")],
            "file_bytes": None,
        }
        spec_read, spec_write = os.pipe()
        os.write(spec_write, json.dumps(spec).encode())
        os.close(spec_write)
        report_read, report_write = os.pipe()
        done = subprocess.run(
            [str(SYSTEM_PYTHON), "-I", "-S", str(enter), str(spec_read), str(report_write)],
            user=61_111,
            group=61_111,
            extra_groups=[],
            cwd="/",
            pass_fds=(spec_read, report_write),
            capture_output=True,
            timeout=30,
            check=False,
        )
        os.close(report_write)
        os.close(spec_read)
        with os.fdopen(report_read) as report:
            walls = json.loads(report.readline())
        found = json.loads(done.stdout)
        assert found["uid"] == 61_111 and found["inside"] == "done"
        assert found["outside"] == "PermissionError" and found["network"] != "done"
        assert walls["network"] in ("isolated", "tcp_denied") and walls["landlock"]
    finally:
        shutil.rmtree(folder)


def test_no_chain_of_forks_gets_away(tmp_path: Path) -> None:
    """Daemons, new sessions, wiped environments: all of them come back to the guardian."""
    become_guardian()
    script = (
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            os.execve('/bin/sleep', ['sleep', '873'], {})\n"
        "        os._exit(0)\n"
        "print('ready', flush=True)\n"
    )
    confined = launch(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={},
        walls=Walls(write=[tmp_path], read=[Path(sys.prefix), Path(sys.base_prefix).resolve()]),
    )
    assert confined.process.stdout is not None
    assert confined.process.stdout.readline() == b"ready\n"
    confined.process.wait(10)
    time.sleep(0.2)
    assert end_everything(confined) == 4
    assert subprocess.run(["pgrep", "-f", "^sleep 873"], capture_output=True, check=False).stdout == b""


def test_it_dies_with_the_trainer(tmp_path: Path) -> None:
    """SIGKILL of the trainer: the kernel takes the program along."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom custom_trainer.confinement import Walls, launch\n"
        f"c = launch(['/bin/sleep', '874'], cwd=Path({str(tmp_path)!r}), env={{}}, walls=Walls(write=[]))\n"
        "print(c.process.pid, flush=True)\nsys.stdin.read()\n"
    )
    trainer = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert trainer.stdout is not None
    pid = int(trainer.stdout.readline())
    trainer.send_signal(signal.SIGKILL)
    trainer.wait(10)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.02)


def test_what_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainerFailure, match=r"no-such-program could not be started: No such file"):
        launch(["no-such-program"], cwd=tmp_path, env={"PATH": "/usr/bin"}, walls=Walls(write=[]))
