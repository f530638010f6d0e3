"""Bridges between YOLOv7 (2022) and the libraries of today. Imported by every Python of the environment."""

import importlib.abc
import importlib.util
import sys


class OnnxByTracing(importlib.abc.MetaPathFinder):
    """torch.onnx.export has another exporter by default since torch 2.9; export.py was written for the tracing one."""

    def find_spec(self, fullname, path=None, target=None):
        """Wraps torch.onnx once, when it is first imported."""
        if fullname != "torch.onnx":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            original = module.export

            def export(*args, **options):
                return original(*args, **{"dynamo": False, **options})

            module.export = export

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, OnnxByTracing())
