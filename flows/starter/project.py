"""`rl-loop init`: writes a starter project into an empty folder, so that people use the package and do not fork it."""

import shutil
from pathlib import Path

from flows.settings.checkout import PROJECT, PROJECT_FILE
from storage.errors import LoopError
from storage.names import checked_name

TEMPLATES = Path(__file__).parent
ENVIRONMENT = Path("examples/own_environment")
POLICY = Path("policies/tiny")
IGNORED = "runs/\n.rl-loop/\n__pycache__/\n"


def write_project(root: Path) -> list[Path]:
    """Write the starter project. Returns its files and folders, relative to `root`.

    Raises `LoopError` if the folder is not empty, cannot be written or has no usable name.
    """
    name = checked_name(root.absolute().name, of="project")
    try:
        if root.exists() and any(root.iterdir()):
            raise LoopError(f"{root} is not empty; rl-loop init writes into a new or an empty folder")
        root.mkdir(parents=True, exist_ok=True)
        for template, target in (
            (PROJECT_FILE, PROJECT_FILE),
            ("tasks.jsonl", "tasks.jsonl"),
            ("project.md", "README.md"),
        ):
            (root / target).write_text((TEMPLATES / template).read_text().replace("NAME", name, 1))
        (root / ".gitignore").write_text(IGNORED)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / ENVIRONMENT, root / "environment", ignore=ignored)
        shutil.copytree(PROJECT / POLICY, root / POLICY, ignore=ignored)
    except NotADirectoryError as error:
        raise LoopError(f"{root} is a file; rl-loop init writes into a folder") from error
    except OSError as error:
        raise LoopError(f"{root} cannot be written ({error.strerror or error}); choose another folder") from error
    return [Path(PROJECT_FILE), Path("environment"), Path("tasks.jsonl"), POLICY, Path("README.md")]
