"""Names of runs: the valid, the existing and the free ones.

A name becomes a folder below `runs_dir`, so every entrance (command line, Prefect's form, API) calls
`checked_name` first.
"""

from pathlib import Path
from re import fullmatch

from storage.errors import LoopError
from storage.run_layout import RECORD

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
LONGEST = 64
"""Longest name in characters, as in NAME_PATTERN."""


class RunNameError(LoopError):
    """The name is not valid for a run. The message is one sentence."""


def checked_name(name: str, of: str = "run") -> str:
    """Returns the name. Raises `RunNameError` unless it is valid: the name of a single folder, not a path."""
    if fullmatch(NAME_PATTERN, name):
        return name
    shown = repr(name if len(name) <= LONGEST + 16 else f"{name[: LONGEST + 16]}..")
    where = " (the folder of runs is configured by runs_dir=...)" if of == "run" else ""
    raise RunNameError(
        f"a {of}'s name begins with a letter or digit and has at most {LONGEST} letters, digits, '.', '_' or '-'; "
        f"found {shown}; choose another name{where}"
    )


def run_names(runs_dir: Path) -> list[str]:
    """Names of the runs in a folder, newest first."""
    try:
        records = [(path.stat().st_mtime, path.parent.name) for path in runs_dir.glob(f"*/{RECORD}") if path.is_file()]
    except OSError as error:
        raise LoopError(f"the runs in {runs_dir} cannot be listed ({error.strerror or error})") from error
    return [name for _, name in sorted(records, reverse=True)]


def free_name(runs_dir: Path, wanted: str) -> str:
    """`wanted`, or the first free one of `wanted-2`, `wanted-3`, ..; a long name is cut to make room for the number."""
    taken = set(run_names(runs_dir))
    if wanted not in taken:
        return wanted
    suffixes = (f"-{number}" for number in range(2, len(taken) + 3))
    names = (f"{wanted[: LONGEST - len(suffix)]}{suffix}" for suffix in suffixes)
    return next(name for name in names if name not in taken)
