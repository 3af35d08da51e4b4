"""Put on PYTHONPATH of the vLLM server: Python runs it at the start of that server and of each of its subprocesses.

It waits for the first import of a package that would import torchvision and applies the fix of
`training/torchvision_on_cpu.py` just before; processes that import none of them have no overhead.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

BEFORE = {"vllm", "transformers", "torchvision", "torchaudio", "torchcodec"}


class _CureFirst(MetaPathFinder):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname in BEFORE:
            sys.meta_path.remove(self)
            from training.torchvision_on_cpu import declare_missing_operators

            declare_missing_operators()
        return None


sys.meta_path.insert(0, _CureFirst())
