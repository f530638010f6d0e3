"""Bridges between ViTPose (torch 1.9, mmcv 1.5) and the libraries of today. Every Python of the environment has it."""

import importlib.abc
import importlib.util
import sys


class OlderMmcv(importlib.abc.MetaPathFinder):
    """mmpose takes no mmcv newer than 1.5.0; 1.7.2, which works, is the first that builds with the torch of today."""

    def find_spec(self, fullname, path=None, target=None):
        """Wraps mmcv once, when it is first imported."""
        if fullname != "mmcv":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.__version__ = "1.5.0"

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, OlderMmcv())
