"""`rl-loop import webgym`: WebGym's configuration as a configuration of ours."""

from pathlib import Path
from typing import Annotated

import typer


def webgym(
    files: Annotated[
        list[Path],
        typer.Argument(help="WebGym's files, such as rollout_train.yaml rollout_test.yaml update_online.yaml"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="file to write; default: print the configuration", show_default=False)
    ] = None,
) -> None:
    """Turn WebGym's configuration into one of ours, and say which of its keys have no equal.

    The first file goes before the later ones; the files that a file's `defaults` name must be beside it.
    Example: rl-loop import webgym rollout_train.yaml rollout_test.yaml update_online.yaml --out configs/webgym.yaml
    """
    from flows.settings.loop_config import parse_config, root_of
    from flows.webgym.configuration import import_configuration
    from storage.atomic import write_atomically
    from storage.errors import LoopError

    found = import_configuration(files)
    parse_config(found.config, root=root_of(out or Path("webgym.yaml")))
    for heading, lines in (("equal here", found.equal), ("no equal here", found.unequal)):
        typer.echo(f"{heading} ({len(lines)}):", err=True)
        for line in lines:
            typer.echo(f"  {line}", err=True)
    if out is None:
        typer.echo(found.yaml(), nl=False)
        return
    if out.exists():
        raise LoopError(f"{out} exists already; name another file with --out")
    write_atomically(out, found.yaml().encode())
    typer.echo(f"{out}; `rl-loop run {out} --dry-run` checks it")
