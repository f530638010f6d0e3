"""Keeps torch's compiler out of the way until somebody wants it.

torchvision and torch.optim import `torch._dynamo` (and with it sympy and inductor, seconds of start-up) only to mark
functions as not to be compiled. This trainer compiles nothing, so a stand-in answers these requests; whatever else is
asked of the module loads the real one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

_NAMES = ("torch._dynamo", "torch._dynamo.utils")


class _StandIn(ModuleType):
    """Looks like the module; loads the real one at the first unexpected question."""

    def __getattr__(self, name: str) -> Any:
        # The import machinery asks for dunder names of every module; the stand-in has none of them.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


def postpone_compiler() -> None:
    """Puts the stand-ins in place. Does nothing where torch's compiler is loaded already."""
    if any(name in sys.modules for name in _NAMES):
        return
    dynamo = _StandIn("torch._dynamo")
    dynamo.__path__ = []
    dynamo.disable = _disable  # type: ignore[attr-defined]
    dynamo.graph_break = lambda *_, **__: None  # type: ignore[attr-defined]
    # What torch.distributed asks for when a process group is made: there is nothing to forget.
    dynamo.trace_rules = SimpleNamespace(clear_lru_cache=lambda: None)  # type: ignore[attr-defined]
    details = _StandIn("torch._dynamo.utils")
    # Tells torchvision whether it may compile roi_align: no.
    details.is_compile_supported = lambda device: False  # type: ignore[attr-defined]
    sys.modules["torch._dynamo"] = dynamo
    sys.modules["torch._dynamo.utils"] = details


def _disable(fn: Callable[..., Any] | None = None, *_: object, **__: object) -> Any:
    """torch._dynamo.disable for a process that does not compile: the function as it is."""
    return fn if fn is not None else (lambda function: function)


def _load(name: str) -> ModuleType:
    for stand_in in _NAMES:
        if isinstance(sys.modules.get(stand_in), _StandIn):
            del sys.modules[stand_in]
    return importlib.import_module(name)
