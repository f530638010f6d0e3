"""Run as a program: walls itself in, then becomes the command. Standard library only; it runs before anything else may.

`python -I -S enter.py <spec fd> <report fd>`. The spec is a JSON object (see confinement.py). One line goes to the
report pipe before the command starts: which walls stand. A second line says why the command could not be started.

Walls, each used where the system has it: Landlock (files outside of the named folders can be neither read nor written,
foreign processes neither traced nor signalled), namespaces (network, IPC, /dev/shm), an unprivileged user, no
capabilities, no new privileges, no core dumps, death together with the trainer.
"""

from __future__ import annotations

import ctypes
import fcntl
import glob
import json
import os
import resource
import signal
import socket
import struct
import sys
import warnings  # noqa: F401 - os.execvpe imports it, and behind the walls it may be out of reach

_libc = ctypes.CDLL(None, use_errno=True)

_NEW_NS, _NEW_IPC, _NEW_USER, _NEW_NET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 1, 24, 28, 38
# SECBIT_NOROOT and its lock: user 0 gets nothing back when it starts a program.
_SECURE_NO_ROOT = 0b11
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

# Landlock, by linux/landlock.h; the system calls have the same numbers everywhere.
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix", "/proc", "/sys")
# Of /etc only what programs need: it also holds what nobody may see.
_ETC = (
    "alternatives ca-certificates ca-certificates.conf fonts group host.conf hostname hosts ld.so.cache ld.so.conf "
    "ld.so.conf.d locale.alias localtime mime.types nsswitch.conf os-release OpenCL passwd pki protocols resolv.conf "
    "services ssl timezone vulkan"
)
_DEVICES = (
    "/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx /dev/pts /dev/shm /dev/nvidia* /dev/dri "
    "/dev/kfd"
)


def main() -> None:
    """Reads the spec, raises the walls, reports, and becomes the command. Does not return."""
    spec_fd, report_fd = int(sys.argv[1]), int(sys.argv[2])
    parent = os.getppid()
    with os.fdopen(spec_fd) as file:
        spec = json.load(file)
    os.set_inheritable(report_fd, False)
    report: dict[str, object] = {}
    try:
        if sys.platform == "linux":
            _wall_in(spec, report)
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
        _limit(spec)
        os.chdir(spec["cwd"])
        os.umask(0o022)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        _say(report_fd, report)
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell is the point
    except OSError as error:
        _say(report_fd, {"error": f"{error.strerror}: {error.filename or spec['argv'][0]}"})
    os._exit(127)


def _say(descriptor: int, content: dict[str, object]) -> None:
    os.write(descriptor, json.dumps(content).encode() + b"\n")


def _limit(spec: dict) -> None:  # type: ignore[type-arg]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if spec.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (spec["file_bytes"], spec["file_bytes"]))


def _wall_in(spec: dict, report: dict[str, object]) -> None:  # type: ignore[type-arg]
    if spec["confine"]:
        report["namespaces"] = _new_namespaces(network=not spec["network"])
    isolated = report.get("namespaces") not in (None, "none")
    ruleset, abi = _ruleset(spec, deny_tcp=spec["confine"] and not spec["network"] and not isolated)
    report["landlock"] = abi
    if spec["network"]:
        report["network"] = "open"
    else:
        report["network"] = "isolated" if isolated else ("tcp_denied" if abi >= 4 and spec["confine"] else "open")
    report["user"] = _become(spec)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if ruleset >= 0:
        if _libc.syscall(_SYS_LANDLOCK_RESTRICT, ruleset, 0) != 0:
            report["landlock"] = 0
        os.close(ruleset)


def _new_namespaces(*, network: bool) -> str:
    """Leaves the host's network (where asked), IPC and /dev/shm behind. Returns root, user or none: by whose right."""
    if not network:
        return "root" if _libc.unshare(_NEW_IPC | _NEW_NS) == 0 and _private_shm() else "none"
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_NET | _NEW_IPC | _NEW_NS) == 0:
        kind = "root"
    elif _libc.unshare(_NEW_USER | _NEW_NET | _NEW_IPC | _NEW_NS) == 0:
        kind = "user"
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib costs start-up time
                file.write(text)
    else:
        return "none"
    _private_shm()
    _loopback_up()
    return kind


def _private_shm() -> bool:
    """An empty /dev/shm of our own: what a killed program leaves there goes with it."""
    if _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    return bool(_libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777") == 0)


def _loopback_up() -> None:
    """127.0.0.1 works inside: processes of one job may talk to each other."""
    get_flags, set_flags, interface_up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        request = struct.pack("16sh14x", b"lo", 0)
        try:
            flags = struct.unpack("16sh14x", fcntl.ioctl(door, get_flags, request))[1]
            fcntl.ioctl(door, set_flags, struct.pack("16sh14x", b"lo", flags | interface_up))
        except OSError:
            return


def _ruleset(spec: dict, *, deny_tcp: bool) -> tuple[int, int]:  # type: ignore[type-arg]
    """(descriptor of the Landlock rules, version); (-1, 0) where the kernel has none."""
    abi = _libc.syscall(_SYS_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1 or not spec["confine"]:
        return -1, 0
    everything = (1 << 13) - 1 | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    # Scope: no abstract sockets of others (1), no signals to others (2).
    attributes = struct.pack("QQQ", everything, 0b11 if deny_tcp and abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _libc.syscall(_SYS_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return -1, 0
    readable = [*_SYSTEM, *(f"/etc/{name}" for name in _ETC.split()), *spec["read"]]
    writable = [path for pattern in _DEVICES.split() for path in glob.glob(pattern)]  # noqa: PTH207
    for path in readable:
        _allow(ruleset, path, _READ & everything, everything)
    for path in [*writable, *spec["write"]]:
        _allow(ruleset, path, everything, everything)
    return ruleset, abi


def _allow(ruleset: int, path: str, access: int, everything: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            access &= _FILE_ONLY & everything
        _libc.syscall(_SYS_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", access, descriptor), 0)
    finally:
        os.close(descriptor)


def _become(spec: dict) -> str:  # type: ignore[type-arg]
    """Becomes the unprivileged user of the spec, where there is one; gives up every capability in any case."""
    uid = spec.get("uid")
    if os.geteuid() != 0:
        _drop_capabilities()
        return "own"
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return str(uid)
    if spec["confine"]:
        _libc.prctl(_PR_SET_SECUREBITS, _SECURE_NO_ROOT, 0, 0, 0)
        _drop_capabilities()
    return "root without capabilities" if spec["confine"] else "root"


def _drop_capabilities() -> None:
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    number = _SYS_CAPSET.get(os.uname().machine)
    if number is not None:
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        _libc.syscall(number, header, struct.pack("6I", *[0] * 6))


if __name__ == "__main__":
    main()
