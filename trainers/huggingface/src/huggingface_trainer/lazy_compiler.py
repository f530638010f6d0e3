"""Keeps torch's compiler out of the way until somebody wants it.

torch, torchvision and transformers import `torch._dynamo` (a second or more of start-up) only to mark functions for the
compiler. This trainer compiles nothing, so a stand-in answers these requests; whatever else is asked of the modules
loads the real ones.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_DYNAMO = "torch._dynamo"
_DETAILS = "torch._dynamo.utils"
_MASKS = "torch._dynamo._trace_wrapped_higher_order_op"
_NAMES = (_DYNAMO, _DETAILS, _MASKS)
_MARKS = ("disable", "assume_constant_result", "allow_in_graph", "mark_static_address")


class _StandIn(ModuleType):
    """Looks like the module; loads the real one at the first unexpected question."""

    def __getattr__(self, name: str) -> Any:
        # The import machinery asks for dunder names of every module; the stand-in has none of them.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


class _IndexMode:
    """transformers makes one of these only for masks that this trainer's models do not use; then it is the real one."""

    def __new__(cls, *options: Any) -> Any:
        return _load(_MASKS).TransformGetItemToIndex(*options)


def postpone_compiler() -> None:
    """Puts the stand-ins in place. Does nothing where torch's compiler is loaded already."""
    if any(name in sys.modules for name in _NAMES):
        return
    modules = {name: _StandIn(name) for name in _NAMES}
    vars(modules[_DYNAMO]).update(dict.fromkeys(_MARKS, _unmarked))
    vars(modules[_DYNAMO]).update(__path__=[], graph_break=lambda *_, **__: None)
    # Tells torchvision whether it may compile roi_align: no.
    vars(modules[_DETAILS]).update(is_compile_supported=lambda device: False)
    vars(modules[_MASKS]).update(TransformGetItemToIndex=_IndexMode)
    sys.modules.update(modules)


def _unmarked(fn: Callable[..., Any] | None = None, *_: object, **__: object) -> Any:
    """A mark for a process that does not compile: the function as it is."""
    return fn if fn is not None else (lambda function: function)


def _load(name: str) -> ModuleType:
    for stand_in in _NAMES:
        if isinstance(sys.modules.get(stand_in), _StandIn):
            del sys.modules[stand_in]
    return importlib.import_module(name)
