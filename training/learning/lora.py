"""LoRA (arXiv 2106.09685) by peft: an adapter over the run's first policy, trained on from version to version.

Each version holds the merged weights, which servers reload as those of a full update, and the folder `adapter` in peft's format,
from which the next update goes on. The weights below an adapter are always those of version 0: every version is one product
of the given rank away from it, and Adam's moments belong to the same matrices.
"""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from training.checkpointing.checkpoints import checkpoint_path, read_checkpoint
from training.checkpointing.manifest import Checkpoint
from training.config import UpdateConfig
from training.errors import BadInput, CheckpointError, ModelError
from training.learning.models import LoadedPolicy, load_policy
from training.learning.optimizer_state import save_optimizer
from training.learning.processes.sharded import is_sharded, local, rows_of
from training.lora_settings import LoraSettings

FOLDER = "adapter"
BASE = "base.json"


def load_with_adapter(
    policies: Path, parent: Checkpoint, config: UpdateConfig, *, device: torch.device, seed: int
) -> LoadedPolicy:
    """Version 0 with the parent's adapter, or with a new one that changes nothing yet. Only the adapter is trained.

    Raises BadInput when the parent is not an adapter over version 0, or one of another shape.
    """
    from peft import LoraConfig, PeftModel, get_peft_model

    settings = _required(config)
    base = _base_of(policies, parent)
    policy = load_policy(base.path, dtype=config.dtype, device=device, sharded=config.sharding == "fsdp2")
    folder = parent.path / FOLDER
    if folder.is_dir():
        _refuse_another_shape(folder, settings)
        model: Any = PeftModel.from_pretrained(policy.model, str(folder), is_trainable=True)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            wanted = LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                target_modules=list(settings.target_modules),
                lora_dropout=0.0,
            )
            try:
                model = get_peft_model(policy.model, wanted)
            except ValueError as error:
                raise BadInput(f"update.lora.target_modules: {str(error).splitlines()[0]}") from error
    model.train()
    return dataclasses.replace(policy, model=model)


@torch.no_grad()
def merge(policy: LoadedPolicy) -> None:
    """Adds the adapter's product to the weights, so that a forward pass uses them as they will be written."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not is_sharded(policy.model):
        policy.model.merge_adapter()
        return
    for layer in policy.model.modules():
        if isinstance(layer, BaseTunerLayer):
            # peft can't add the whole product to a slice of the weights.
            weight: Any = layer.get_base_layer().weight
            for name in layer.active_adapters:
                product: Any = layer.get_delta_weight(name)
                local(weight.data).add_(product[rows_of(weight)])
                layer.merged_adapters.append(name)


def write_adapter(
    policy: LoadedPolicy, optimizer: torch.optim.Optimizer | None, folder: Path | None, policies: Path
) -> Any:
    """Writes a merged adapter, what it is an adapter of, and its optimiser's state. Returns the model without adapter.

    Processes that share the weights all call this; those without a folder write nothing.
    """
    model: Any = policy.model
    if folder is not None:
        _write_adapter_files(model, optimizer, folder, policies)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*already merged")
        return model.merge_and_unload()


def _write_adapter_files(model: Any, optimizer: torch.optim.Optimizer | None, folder: Path, policies: Path) -> None:
    base = read_checkpoint(checkpoint_path(policies, 0), verify=False)
    # Without these peft would gather the sharded weights, too, and the other processes are not here.
    adapter = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.save_pretrained(str(folder / FOLDER), state_dict=adapter)
    (folder / FOLDER / "README.md").unlink(missing_ok=True)
    described = json.loads((folder / FOLDER / "adapter_config.json").read_bytes())
    described |= {"target_modules": sorted(described["target_modules"]), "base_model_name_or_path": None}
    (folder / FOLDER / "adapter_config.json").write_text(json.dumps(described, indent=2, sort_keys=True))
    (folder / FOLDER / BASE).write_text(json.dumps({"version": base.version, "digest": base.digest}))
    if optimizer is not None:  # an adapter is whole in every process
        save_optimizer(optimizer, model, folder)


def _base_of(policies: Path, parent: Checkpoint) -> Checkpoint:
    if parent.version == 0:
        return parent
    try:
        base = read_checkpoint(checkpoint_path(policies, 0))
        stated = json.loads((parent.path / FOLDER / BASE).read_bytes())
        fits = stated["digest"] == base.digest
    except (CheckpointError, OSError, ValueError, TypeError, KeyError) as error:
        why = f"({error})" if isinstance(error, CheckpointError) else "and has none"
        raise BadInput(
            f"update.lora goes on with the adapter of {parent.path} over version 0 {why}; begin a run with that version as "
            "policy.model, or set update.lora to null"
        ) from error
    if not fits:
        raise BadInput(f"the adapter of {parent.path} was trained on another first policy than {base.path}")
    return base


def _refuse_another_shape(folder: Path, settings: LoraSettings) -> None:
    try:
        stated = json.loads((folder / "adapter_config.json").read_bytes())
        found = (stated["r"], stated["lora_alpha"], sorted(stated["target_modules"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder} can't be read as an adapter: {error!r}") from error
    if found != (settings.rank, settings.alpha, sorted(settings.target_modules)):
        raise BadInput(
            f"update.lora differs from the adapter of {folder.parent}: rank {found[0]}, alpha {found[1]}, target_modules "
            f"{', '.join(found[2])}; set these, or begin a run with that version as policy.model"
        )


def _required(config: UpdateConfig) -> LoraSettings:
    assert config.lora is not None, "the caller looks at update.lora first"
    return config.lora
