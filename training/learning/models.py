"""A policy directory -> a model in memory; stored samples -> its input tensors.

Works for every vision-language model of the Qwen-VL kind (pictures as `pixel_values` and `image_grid_thw`) and for
text-only language models; the kind is read from the directory's configuration.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from training.errors import ModelError
from training.lean_imports import prepare
from training.learning.processes.sharded import loading_options, reshard
from training.sampling.samples import Sample
from training.settings import local_rank, world_size

ImageSource = Callable[[str], bytes]
"""Returns the encoded picture with a sha256."""


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """A model and the processor of its inputs."""

    model: Any
    """A transformers PreTrainedModel, in training mode on `device`."""
    processor: Any
    """Its processor, or its tokenizer when the model is text-only."""
    device: torch.device
    image_token_id: int | None
    """Placeholder of picture features; None for a text-only model."""

    @property
    def pad_token_id(self) -> int:
        """Id of padding. Padding is masked, so any id would do; this is the tokenizer's own."""
        tokenizer = getattr(self.processor, "tokenizer", self.processor)
        return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id


def pick_device(wanted: str) -> torch.device:
    """Picks the device; `auto` is the GPU if there is one, with several processes one for each.

    Raises ModelError for `cuda` without a GPU.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ModelError("device is cuda, but torch sees no GPU; set device to auto or cpu")
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank()) if world_size() > 1 else torch.device("cuda")


def load_policy(directory: Path, *, dtype: str, device: torch.device, sharded: bool = False) -> LoadedPolicy:
    """Loads the model in a Hugging Face directory, `sharded` in slices over the processes of the update (FSDP2).

    Raises ModelError when transformers can't load it.
    """
    config = json.loads((directory / "config.json").read_bytes())
    sees = "vision_config" in config
    model_class, processor_class = _classes(sees=sees)
    options = loading_options(directory, device) if sharded else {}
    try:
        loaded: Any = model_class.from_pretrained(
            directory, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True, **options
        )
        model, loading = loaded
        processor = processor_class.from_pretrained(directory, local_files_only=True)
    except Exception as error:  # the libraries raise errors of many types for files that do not fit together
        why = (str(error).splitlines() or [repr(error)])[0]
        raise ModelError(f"{directory} can't be loaded as a policy: {why}") from error
    if missing := sorted(loading["missing_keys"]):
        # transformers only warns, and would train randomly initialised values instead.
        raise ModelError(
            f"{directory} can't be loaded as a policy: its weights lack {missing[0]} ({len(missing)} in all)"
        )
    without_dropout(model)
    if not sharded:  # slices are on their device already
        model.to(device)
    model.train()
    return LoadedPolicy(model, processor, device, config.get("image_token_id") if sees else None)


def import_classes(directory: Path) -> None:
    """Imports the classes that `load_policy` needs for a directory: builds the model without memory (torch's device `meta`)
    and the processor. Raises ModelError where transformers can't.
    """
    from transformers import AutoConfig

    try:
        sees = "vision_config" in json.loads((directory / "config.json").read_bytes())
        model_class, processor_class = _classes(sees=sees)
        with torch.device("meta"):
            model_class.from_config(AutoConfig.from_pretrained(directory, local_files_only=True))
        processor_class.from_pretrained(directory, local_files_only=True)
    except Exception as error:  # of many types, as in `load_policy`
        raise ModelError(f"{directory} can't be loaded as a policy: {error}") from error


def _classes(*, sees: bool) -> tuple[Any, Any]:
    """The classes of model and processor."""
    prepare()
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    return (AutoModelForImageTextToText, AutoProcessor) if sees else (AutoModelForCausalLM, AutoTokenizer)


def without_dropout(model: torch.nn.Module) -> None:
    """Switches every dropout off: the ratio to the sampling policy is exact only if repeated passes give equal results.

    The model stays in training mode, which activation checkpointing needs. Attention reads its rate from a number
    (`attention_dropout`) and not from a module.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def collate(policy: LoadedPolicy, samples: Sequence[Sample], images: ImageSource) -> dict[str, Any]:
    """Input tensors of B samples, named as TRL names them; P and T are the longest prompt and completion.

    prompt_ids, prompt_mask (B, P) left-padded; completion_ids, completion_mask, old_per_token_logps, advantages (B, T)
    right-padded; with pictures also pixel_values, image_grid_thw, num_images and mm_token_type_ids (B, P + T).
    """
    prompts = [torch.from_numpy(sample.prompt_token_ids) for sample in samples]
    completions = [torch.from_numpy(sample.token_ids) for sample in samples]
    logprobs = [torch.from_numpy(sample.logprobs) for sample in samples]
    advantages = [torch.full((len(sample.token_ids),), sample.advantage) for sample in samples]
    pad = policy.pad_token_id
    batch: dict[str, Any] = {
        "prompt_ids": _padded(prompts, pad, side="left"),
        "prompt_mask": _padded([torch.ones_like(one) for one in prompts], 0, side="left"),
        "completion_ids": _padded(completions, pad, side="right"),
        "completion_mask": _padded([torch.ones_like(one) for one in completions], 0, side="right"),
        "old_per_token_logps": _padded(logprobs, 0.0, side="right"),
        "advantages": _padded(advantages, 0.0, side="right"),
    }
    if any(sample.images for sample in samples):
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        batch |= _pictures(policy, samples, images, ids)
    return {name: value.to(policy.device) if isinstance(value, Tensor) else value for name, value in batch.items()}


@torch.no_grad()
def score(
    policy: LoadedPolicy, samples: Sequence[Sample], images: ImageSource, *, temperature: float | None = None
) -> list[list[float]]:
    """Log-probabilities of the samples' tokens, by one plain forward pass and a softmax per sample.

    Uses `temperature`, or each sample's own when None (a server scores prompts at 1, whatever the sample's).
    Shares no code with the trainer's loss, so each can check the other. Where the weights are shared, all processes must call this
    with the same samples.
    """
    was_training = policy.model.training
    policy.model.eval()
    scores = []
    for sample in samples:
        batch = collate(policy, [sample], images)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        pictures = {
            name: batch[name] for name in ("pixel_values", "image_grid_thw", "mm_token_type_ids") if name in batch
        }
        logits = policy.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **pictures).logits
        answered = logits[0, len(sample.prompt_token_ids) - 1 : -1].float() / (temperature or sample.temperature)
        chosen = answered.log_softmax(-1).gather(-1, batch["completion_ids"][0, :, None])
        scores.append(chosen[:, 0].tolist())
    policy.model.train(was_training)
    reshard(policy.model)
    return scores


def _pictures(policy: LoadedPolicy, samples: Sequence[Sample], images: ImageSource, ids: Tensor) -> dict[str, Any]:
    if policy.image_token_id is None:
        raise ModelError(f"trajectory {samples[0].trajectory_id} has pictures, but the policy is a text-only model")
    pictures = [_decode(images(sha256)) for sample in samples for sha256 in sample.images]
    processed = policy.processor.image_processor(images=pictures, return_tensors="pt")
    grid = processed["image_grid_thw"]
    tokens_per_image = iter((grid.prod(-1) // policy.processor.image_processor.merge_size**2).tolist())
    for sample in samples:
        expected = sum(next(tokens_per_image) for _ in sample.images)
        found = int((sample.prompt_token_ids == policy.image_token_id).sum())
        if expected != found:
            raise ModelError(
                f"trajectory {sample.trajectory_id}, step {sample.step}: its pictures make {expected} features here, but "
                f"its prompt has {found} placeholders; serve and train with the same preprocessor settings"
            )
    return {
        "pixel_values": processed["pixel_values"],
        "image_grid_thw": grid,
        "num_images": [len(sample.images) for sample in samples],
        "mm_token_type_ids": ids.eq(policy.image_token_id).long(),
    }


def _decode(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("RGB")


def _padded(rows: Sequence[Tensor], value: float, *, side: str) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value, padding_side=side)
