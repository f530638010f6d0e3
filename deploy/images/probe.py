"""Run inside an image as a job would be; prints, as JSON, what works there.

The argument is {"modules": […], "packages": […]}: names to import. A package whose module has another name than itself
counts as unknown.
"""

import importlib
import json
import os
import sys
from pathlib import Path

FOLDERS = ("/", "/opt", "/opt/trainer", "/usr", "/etc", "/var", "/tmp", "/work")


def imported(module: str) -> str:
    """`yes`, `absent`, or why the import failed."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "absent" if error.name == module else str(error)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises, it was not imported
        return f"{type(error).__name__}: {error}"
    return "yes"


def writable(path: str) -> bool:
    """True when a file can be made in the folder."""
    file = Path(path, ".vision-platform-probe")
    try:
        file.touch(exist_ok=False)
        file.unlink()
    except OSError:
        return False
    return True


def readable(path: str) -> bool:
    """True when the file can be opened and read."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


asked = json.loads(sys.argv[1])
# What the imports print goes elsewhere.
answers = os.dup(1)
os.dup2(2, 1)
found = {
    "uid": os.getuid(),
    "gid": os.getgid(),
    "python": "{}.{}".format(*sys.version_info),
    "first_process": Path("/proc/1/comm").read_text().strip(),
    "secrets_readable": readable("/proc/1/environ"),
    "writable": [path for path in FOLDERS if writable(path)],
    "imports": {name: imported(name.replace("-", "_")) for name in asked["modules"] + asked["packages"]},
}
os.write(answers, json.dumps(found).encode())
