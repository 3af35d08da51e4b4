"""Adam's moments beside a policy, as safetensors and JSON, in a separate folder.

Separate, because servers take every `*.safetensors` file beside config.json for weights. The file holds whole tensors, whether an
update has them whole or in slices: any number of processes can go on from it.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from training.errors import ModelError
from training.learning.processes.sharded import like, local, rows_of
from training.learning.processes.streaming import write_tensors

FOLDER = "optimizer"
MOMENTS = ("exp_avg", "exp_avg_sq")


def save_optimizer(optimizer: torch.optim.Optimizer, model: torch.nn.Module, checkpoint: Path | None) -> None:
    """Writes the state of every parameter that has one, by name. Where moments are sharded all processes call this, and
    only the first has a `checkpoint`.
    """
    tensors: dict[str, torch.Tensor] = {}
    steps: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        if state := optimizer.state.get(parameter):
            tensors |= {f"{name}/{moment}": state[moment] for moment in MOMENTS}
            steps[name] = float(state["step"])
    if checkpoint is not None:
        (checkpoint / FOLDER).mkdir()
        (checkpoint / FOLDER / "adam.json").write_text(json.dumps({"steps": steps}))
    write_tensors(tensors, checkpoint and checkpoint / FOLDER / "adam.safetensors")


def load_optimizer(optimizer: torch.optim.Optimizer, model: torch.nn.Module, checkpoint: Path) -> bool:
    """Loads the optimiser state of a checkpoint; returns False, for a fresh start, when it has none.

    Raises ModelError when the state belongs to another model.
    """
    folder = checkpoint / FOLDER
    if not folder.is_dir():
        return False
    steps = json.loads((folder / "adam.json").read_bytes())["steps"]
    parameters = dict(model.named_parameters())
    if unknown := steps.keys() - parameters.keys():
        raise ModelError(f"{folder} holds the state of {min(unknown)}, which this model does not have")
    with safe_open(folder / "adam.safetensors", framework="pt") as file:
        for name, step in steps.items():
            parameter = parameters[name]
            slices = {moment: file.get_slice(f"{name}/{moment}") for moment in MOMENTS}
            if any(tuple(one.get_shape()) != parameter.shape for one in slices.values()):
                raise ModelError(f"{folder} holds a state of another shape for {name}; it belongs to another model")
            rows = rows_of(parameter)
            # A scalar has no rows to slice.
            parts = {moment: one[rows] if parameter.ndim else one[...] for moment, one in slices.items()}
            moments = {moment: like(part.to(local(parameter)), parameter) for moment, part in parts.items()}
            optimizer.state[parameter] = {"step": torch.tensor(step, dtype=torch.float32), **moments}
    return True
