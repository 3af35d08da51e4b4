"""Which sections of a loop's configuration do not fit together, each as one sentence."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flows.settings.services_config import LOCAL

if TYPE_CHECKING:
    from flows.settings.loop_config import LoopConfig


def why_unfit(config: "LoopConfig") -> Iterator[str]:
    """The sentences of a whole configuration; none for one that fits."""
    agent, rollout, serving, update = config.agent, config.rollout, config.serving, config.update
    if rollout.concurrency > config.services.browser_slots:
        yield (
            f"rollout.concurrency={rollout.concurrency} needs as many browsers, but services.browser_slots="
            f"{config.services.browser_slots}; raise the slots or lower the concurrency"
        )
    shown = agent.image_rounds + 1
    if agent.prompt == "full" and agent.screenshot and shown > max(1, serving.images_per_prompt):
        yield (
            f"agent.image_rounds={agent.image_rounds} puts {shown} pictures into a prompt, but "
            f"serving.images_per_prompt={serving.images_per_prompt}; raise it or lower agent.image_rounds"
        )
    elsewhere = next((place for place in config.services.model_places if place != LOCAL), None)
    if serving.transfer != "disk" and elsewhere and serving.transfer_address.is_loopback:
        yield (
            f"serving.transfer={serving.transfer} sends weights to {elsewhere}, which can't reach serving.transfer_address="
            f"{serving.transfer_address}; set that to an address of the loop's machine in a private network"
        )
    most, trained = serving.adapter_rank, update.lora
    if most and (trained is None or trained.rank > most):
        yield f"serving.adapter_rank={most} needs update.lora with a rank up to {most}"
    if update.loss_type != "nll" and rollout.lag > update.max_staleness:
        yield (
            f"rollout.overlap={rollout.overlap} gives samples that are up to {rollout.lag} versions old, but "
            f"update.max_staleness={update.max_staleness} would discard them; raise it or lower rollout.max_lag"
        )
    sees_elements = agent.ax_tree or agent.prompt == "full" or agent.interaction_mode == "set_of_marks"
    if update.step_weight and update.step_anchor == "page" and not sees_elements:
        yield (
            "update.step_weight compares steps at the same page, but with agent.interaction_mode=coordinates and agent.prompt="
            "compact no observation has elements or an accessibility tree; set agent.ax_tree=true or update.step_anchor=screenshot"
        )
