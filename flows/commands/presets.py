"""`rl-loop presets`: the algorithms that `update.preset` names, as settings to read and to override."""

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(help="one preset; default: all", show_default=False)] = None,
) -> None:
    """Print the settings that `update.preset` fills in, as YAML of a loop's configuration.

    Example: rl-loop presets gspo; rl-loop run configs/demo.yaml update.preset=gspo update.clip_high=1e-3
    """
    import yaml

    from storage.errors import LoopError
    from training.algorithms.presets import PRESETS

    if name is not None and name not in PRESETS:
        raise LoopError(f"there is no preset {name!r}; known: {', '.join(PRESETS)}")
    for known, settings in PRESETS.items():
        if name in (None, known):
            print(f"# {known}")
            print(yaml.safe_dump({"update": {"preset": known, **settings}}, sort_keys=False))
