"""Versions of a run's policy that no update made: small steps from version 0, with canaries by torch."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from flows.settings.run_folder import RunFolder
from training.checkpointing.canary import Canary, ScoredCompletion
from training.checkpointing.checkpoints import checkpoint_path, import_policy, read_checkpoint, write_checkpoint
from training.config import UpdateConfig

PROMPT, TOKENS = tuple(range(30, 50)), tuple(range(60, 120, 2))


class Policies:
    """Versions of a run, made from its first policy with small steps, with canaries by torch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        import_policy(folder.config.policy.model, folder.policies)

    def path(self, version: int) -> Path:
        return checkpoint_path(self.folder.policies, version)

    def scores(self, model: Path) -> tuple[float, ...]:
        """The trainer's log-probabilities of the canary's tokens."""
        import torch

        from training.learning.models import load_policy, pick_device

        policy = load_policy(model, dtype="float32", device=pick_device("cpu"))
        with torch.no_grad():
            logits = policy.model.eval()(input_ids=torch.tensor([PROMPT + TOKENS])).logits[0].log_softmax(-1)
        return tuple(float(logits[place - 1, token]) for place, token in enumerate(TOKENS, start=len(PROMPT)))

    def add(
        self,
        version: int,
        *,
        step: float = 1e-5,
        change: Callable[[dict], None] = lambda tensors: None,
        logprobs: Sequence[float] | None = None,
        temperature: float = 1.0,
    ) -> Path:
        """A version whose weights are a step from version 0's; its canary is right unless `logprobs` are given."""
        import torch
        from safetensors.torch import load_file, save_file

        source = self.path(0)
        tensors = load_file(source / "model.safetensors")
        noise = torch.Generator().manual_seed(version)
        for name, tensor in tensors.items():
            tensors[name] = tensor + step * torch.randn(tensor.shape, generator=noise)
        change(tensors)
        with write_checkpoint(self.folder.policies, version, parent=0, step=version) as target:
            for file in source.iterdir():
                if file.suffix != ".safetensors" and file.name != "manifest.json":
                    shutil.copyfile(file, target / file.name)
            save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
            self._write_canary(version, target, temperature=temperature, logprobs=logprobs)
        return self.path(version)

    def add_adapter(self, version: int, config: UpdateConfig) -> Path:
        """A version with a random adapter over version 0, and a canary of the merged weights."""
        import torch

        from training.learning import lora
        from training.learning.writing import write_policy

        base = read_checkpoint(self.path(0))
        policy = lora.load_with_adapter(self.folder.policies, base, config, device=torch.device("cpu"), seed=version)
        noise = torch.Generator().manual_seed(version)
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.data = 0.02 * torch.randn(parameter.shape, generator=noise)
        with write_checkpoint(self.folder.policies, version, parent=0, step=version) as target:
            lora.merge(policy)
            write_policy(
                lora.write_adapter(policy, None, target, self.folder.policies), base.path, target, optimizer=None
            )
            self._write_canary(version, target, temperature=1.0)
        return self.path(version)

    def _write_canary(
        self, version: int, target: Path, *, temperature: float, logprobs: Sequence[float] | None = None
    ) -> None:
        old = self.scores(self.path(0))
        scored = ScoredCompletion(
            trajectory_id="t",
            step=0,
            prompt_token_ids=PROMPT,
            token_ids=TOKENS,
            images=(),
            logprobs=tuple(logprobs or self.scores(target)),
            sampled_logprobs=old,
            parent_logprobs=old,
        )
        canary = Canary(version=version, temperature=temperature, completions=(scored,))
        (target / "canary.json").write_text(canary.model_dump_json())
