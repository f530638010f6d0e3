"""Bridges between ConvNeXt (torch 1.8) and the torch of today. Imported by every Python of the environment."""

import importlib.abc
import importlib.util
import math
import sys
import types

# torch 1 had its own inf there.
_six = types.ModuleType("torch._six")
_six.inf = math.inf
_six.string_classes = (str, bytes)
sys.modules["torch._six"] = _six

# timm has no NovoGrad any more; optim_factory.py imports it for an optimizer that the manifest does not offer.
_novograd = types.ModuleType("timm.optim.novograd")
_novograd.NovoGrad = None
sys.modules["timm.optim.novograd"] = _novograd


class SynchronizeWithoutGpu(importlib.abc.MetaPathFinder):
    """engine.py waits for the GPU after each step, also where there is none; torch raises then."""

    def find_spec(self, fullname, path=None, target=None):
        """Wraps torch.cuda once, when it is first imported."""
        if fullname != "torch.cuda":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            original = module.synchronize

            def synchronize(device=None):
                return original(device) if module.is_available() else None

            module.synchronize = synchronize

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, SynchronizeWithoutGpu())
