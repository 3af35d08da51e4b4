"""Makes wheels of torchvision, torchaudio and torchcodec that were built for CUDA usable with a CPU build of torch.

Such a torchvision registers fake kernels for operators that its own compiled library would have defined; that library
cannot be loaded without CUDA, the import fails with "operator torchvision::nms does not exist", and every Qwen-VL
processor fails with it. Declaring the two operators is enough: processors only need resizing, which is plain
PyTorch. The other two fail as soon as transformers or vLLM imports them; audio and video are not used here, so
they are hidden. `vllm_site/` applies the same fix in vLLM's own processes.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

_declared: list[object] = []  # the library must stay referenced, or its operators are removed


def declare_missing_operators() -> None:
    """Declares `torchvision::nms` and `qnms`, hides the other two; each only where its compiled library can't be loaded."""
    import torch

    if torch.version.cuda is not None or _declared:
        return
    for package, pattern in (("torchaudio", "lib/_torchaudio*.so"), ("torchcodec", "libtorchcodec*.so")):
        if package not in sys.modules and not _loads(package, pattern):
            hidden: dict[str, Any] = sys.modules
            hidden[package] = None  # find_spec then says "not installed"
    if "torchvision" not in sys.modules and not _loads("torchvision", "_C*.so"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)


def _loads(package: str, pattern: str) -> bool:
    import torch

    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return True
    for compiled in Path(spec.submodule_search_locations[0]).glob(pattern):
        try:
            torch.ops.load_library(compiled)
        except OSError:
            return False
    return True
