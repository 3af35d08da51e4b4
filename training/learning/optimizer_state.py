"""Adam's moments beside a policy, as safetensors and JSON, in a separate folder.

Separate, because servers take every `*.safetensors` file beside config.json for weights.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.errors import ModelError

FOLDER = "optimizer"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save_optimizer(optimizer: torch.optim.Optimizer, model: torch.nn.Module, checkpoint: Path) -> None:
    """Writes the state of every parameter that has one, by name."""
    tensors: dict[str, torch.Tensor] = {}
    steps: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if state := optimizer.state.get(parameter):
            tensors |= {f"{name}/{moment}": state[moment].contiguous() for moment in MOMENTS}
            steps[name] = float(state["step"])
    folder = checkpoint / FOLDER
    folder.mkdir()
    save_file(tensors, folder / "adam.safetensors")
    (folder / "adam.json").write_text(json.dumps({"steps": steps}))


def load_optimizer(optimizer: torch.optim.Optimizer, model: torch.nn.Module, checkpoint: Path) -> bool:
    """Loads the optimiser state of a checkpoint; returns False, for a fresh start, when it has none.

    Raises ModelError when the state belongs to another model.
    """
    folder = checkpoint / FOLDER
    if not folder.is_dir():
        return False
    steps = json.loads((folder / "adam.json").read_bytes())["steps"]
    tensors = load_file(folder / "adam.safetensors")
    parameters = dict(model.named_parameters())
    if unknown := steps.keys() - parameters.keys():
        raise ModelError(f"{folder} holds the state of {min(unknown)}, which this model does not have")
    for name, step in steps.items():
        parameter = parameters[name]
        moments = {moment: tensors[f"{name}/{moment}"].to(parameter) for moment in MOMENTS}
        if any(moment.shape != parameter.shape for moment in moments.values()):
            raise ModelError(f"{folder} holds a state of another shape for {name}; it belongs to another model")
        optimizer.state[parameter] = {"step": torch.tensor(step, dtype=torch.float32), **moments}
    return True
