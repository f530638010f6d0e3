"""The ways in which repositories misbehave, one word each; the tests ask for them."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def before(behave: str, out: Path) -> None:
    """What happens before the training."""
    if behave == "hang":
        print("about to hang", flush=True)
        time.sleep(600)
    if behave == "fail":
        print("ValueError: the learning rate is silly", file=sys.stderr)
        sys.exit(7)
    if behave == "oom":
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", file=sys.stderr)
        sys.exit(1)
    if behave == "dataset":
        print("BadData: image 3 is broken", file=sys.stderr)
        sys.exit(1)
    if behave == "escape":
        escape()
    if behave == "outside":
        write_outside(out)
    if behave == "secrets":
        look_for_secrets()
    if behave == "silent":
        (out / "log.txt").symlink_to("/dev/null")
    if behave == "link":
        (out / "checkpoint-best.npz").symlink_to("/etc/passwd")
        (out / "log.txt").symlink_to("/etc/passwd")
    if behave == "flood":
        for number in range(200_000):
            print(f"line {number} " + "x" * 80)
        print("y" * 300_000)


def at_step(behave: str, epoch: int, step: int) -> None:
    """What happens in the middle."""
    if behave == "nan" and step == 0:
        print(f"Epoch {epoch}: Loss is nan, stopping training", flush=True)
        sys.exit(1)
    if behave == "stuck" and epoch == 1 and step == 1:
        time.sleep(600)


def escape() -> None:
    """A process in a session of its own, with a wiped environment, that nobody waits for, and that ignores SIGTERM."""
    script = "import signal,time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            os.execve(sys.executable, [sys.executable, "-c", script, "escaped-from-the-sample"], {})
        os._exit(0)
    os.wait()


def write_outside(out: Path) -> None:
    """Tries the places where nothing of a job belongs; says what happened."""
    for place in ("/tmp/sample-was-here", "/var/tmp/sample-was-here", str(out.parent.parent / "sample-was-here")):
        try:
            Path(place).write_text("x")
            print(f"wrote {place}", flush=True)
        except OSError as error:
            print(f"refused {place}: {error.strerror}", flush=True)
    Path.home().joinpath("in-home").write_text("fine")


def look_for_secrets() -> None:
    """Tries to find what a repository must not see; prints what it found."""
    parent = os.getppid()
    for name in (f"/proc/{parent}/environ", f"/proc/{parent}/mem", f"/proc/{parent}/maps"):
        try:
            with Path(name).open("rb") as file:
                file.seek(4096 if name.endswith("mem") else 0)
                print(f"read {name}: {file.read(4000)!r}", flush=True)
        except OSError as error:
            print(f"refused {name}: {error.strerror}", flush=True)
    print("environment: " + " ".join(f"{name}={value}" for name, value in sorted(os.environ.items())), flush=True)
    try:
        socket.create_connection(("192.0.2.1", 80), 1).close()
        print("network open", flush=True)
    except OSError as error:
        print(f"network refused: {error}", flush=True)
    try:
        os.kill(parent, 0)
        print("may signal the trainer", flush=True)
    except OSError as error:
        print(f"may not signal: {error.strerror}", flush=True)
    gdb = subprocess.run(["cat", f"/proc/{parent}/environ"], capture_output=True, check=False)
    print(f"cat said {len(gdb.stdout)} bytes", flush=True)


def after(behave: str, out: Path) -> None:
    """What happens when all is done."""
    if behave == "incomplete":
        (out / "done").unlink()
