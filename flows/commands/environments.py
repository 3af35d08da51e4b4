"""`rl-loop environments list|install|check|play`: what can be played, whether its checks are sound, and a look at it by hand."""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from flows.commands.options import ConfigOption

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from environments.base import SeededEnvironment
    from flows.environment_tools.check import Checked

T = TypeVar("T")
environments_app = typer.Typer(no_args_is_help=True, help="Look at environments, check them, play them by hand.")
NameArgument = Annotated[
    str, typer.Argument(help="a name of `rl-loop environments list`, or a folder with an environment of your own")
]
BrowsersOption = Annotated[
    str | None, typer.Option(help="address of a browser service; by default that of `rl-loop up`", show_default=False)
]


@environments_app.command("list")
def list_environments() -> None:
    """Show the environments and their task families. Example: rl-loop environments list"""
    from environments.bundled import KNOWN

    for name in ("miniwob", *sorted(KNOWN)):
        world = made(name)
        train, heldout = world.domains("train"), world.domains("heldout")
        same = "the same families, other seeds" if train == heldout else f"{len(heldout)} held-out families"
        typer.echo(f"{name}: {len(train)} families for training; {same}")
        typer.echo(f"  {', '.join(train)}" + ("" if train == heldout else f"; held out: {', '.join(heldout)}"))
    typer.echo("live: tasks of files, on sites that run already (environment.tasks)")
    typer.echo("metabase: tasks of files, on Metabase and Postgres in containers (environment.metabase)")


@environments_app.command()
def install(
    name: Annotated[str, typer.Argument(help="application, such as misago")],
) -> None:
    """Install an application from its pinned packages, and fill its database. What is complete is kept.

    Needs PostgreSQL on this machine. Examples: rl-loop environments install misago
    """
    import asyncio

    from environments.applications.hosted.install import install as install_application
    from environments.applications.hosted.recipe import installation
    from environments.applications.installed import INSTALLED
    from environments.base import EnvironmentBroken
    from storage.errors import LoopError

    if name not in INSTALLED:
        raise LoopError(f"there is no application {name!r} to install; there are {', '.join(sorted(INSTALLED))}")
    recipe, place = INSTALLED[name].recipe(), installation(name)
    try:
        is_new = asyncio.run(install_application(recipe, place, tell=typer.echo))
    except (EnvironmentBroken, OSError, TimeoutError) as error:
        raise LoopError(str(error)) from error
    state = "is installed" if is_new else "was installed already"
    typer.echo(f"{recipe.title} {state} in {place.folder}; licence {recipe.licence}, of its packages: {place.licences}")


@environments_app.command()
def check(
    name: NameArgument,
    families: Annotated[
        list[str] | None, typer.Argument(help="task families; by default all", show_default=False)
    ] = None,
    tasks: Annotated[int, typer.Option(help="tasks of each family", min=1, max=1_000)] = 2,
    at_once: Annotated[int, typer.Option(help="episodes at the same time", min=1, max=256)] = 2,
    browsers: BrowsersOption = None,
    config: ConfigOption = None,
) -> None:
    """Solve every task by its script, then do nothing, claim success, solve another task; report checks that accept it.

    Exit status 1 if a script is not rewarded, or anything else is.
    Examples: rl-loop environments check shop; rl-loop environments check ./my_environment add-thing --tasks 10
    """
    from environments.base import UnknownTask
    from flows.environment_tools.check import check_tasks, tasks_of
    from storage.errors import LoopError

    environment = made(name)
    try:
        chosen = tasks_of(environment, tasks, families or ())
    except UnknownTask as error:
        raise LoopError(str(error)) from error
    url = _browsers(browsers, config)
    found = _played(check_tasks(environment, chosen, browsers=url, at_once=at_once, tell=_tell))
    unsound = sum(not one.is_sound for one in found)
    typer.echo(f"{len(found) - unsound} of {len(found)} tasks are sound")
    if unsound:
        raise LoopError(f"{unsound} tasks of {name} are not solved by their script, or reward what they must not")


@environments_app.command()
def play(
    name: NameArgument,
    task: Annotated[str, typer.Argument(help="task id, such as put-featured-into-cart.7")],
    answer: Annotated[str, typer.Option(help="answer with which the check judges", show_default=False)] = "",
    seconds: Annotated[float, typer.Option(help="time to play", min=1)] = 3_600,
) -> None:
    """Serve a task for a person with a browser, and show the check's answer after every change.

    Example: rl-loop environments play shop put-featured-into-cart.7
    """
    from environments.base import UnknownTask
    from flows.environment_tools.by_hand import play_by_hand
    from storage.errors import LoopError

    environment = made(name)
    try:
        chosen = environment.task_from_id(task)
    except UnknownTask as error:
        raise LoopError(str(error)) from error
    _played(play_by_hand(environment, chosen, answer=answer, seconds=seconds, tell=typer.echo))


def _played(playing: "Coroutine[Any, Any, T]") -> T:
    """The result of playing. Raises `LoopError` where the environment can't be started, such as one that is not installed."""
    import asyncio

    from environments.base import EnvironmentBroken
    from storage.errors import LoopError

    try:
        return asyncio.run(playing)
    except EnvironmentBroken as error:
        raise LoopError(str(error)) from error


def _tell(one: "Checked") -> None:
    rewards = f"script {one.solved}, nothing {one.nothing}, claim {one.claimed}, other task {one.misled}"
    typer.echo(
        f"{'ok   ' if one.is_sound else 'WRONG'} {one.task}: {rewards}" + ("" if one.is_sound else f"; {one.reason}")
    )


def made(name: str) -> "SeededEnvironment":
    """The environment of a name or a folder. Raises `LoopError`."""
    from environments.bundled import KNOWN, NotAnEnvironment, application_environment
    from environments.miniwob import MiniWob
    from storage.errors import LoopError

    if name == "miniwob":
        return MiniWob()
    try:
        return application_environment(name) if name in KNOWN else application_environment("folder", name)
    except (NotAnEnvironment, ValueError, OSError) as error:
        raise LoopError(f"{error}; known environments: miniwob, {', '.join(sorted(KNOWN))}") from error


def _browsers(address: str | None, config: ConfigOption) -> str:
    from flows.commands.options import loaded
    from flows.services.services import address_of
    from flows.services.specs import BROWSER

    return address or address_of(loaded(config).services.state_dir, BROWSER)
