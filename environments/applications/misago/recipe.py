"""How Misago is installed and started."""

from pathlib import Path

from environments.applications.hosted.recipe import Recipe
from environments.applications.misago.world import world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
IGNORED = Ignored(
    tables=("django_session", "misago_users_online", "misago_users_bancache", "misago_readtracker_*", "misago_cache_*"),
    columns=(
        "misago_users_user.last_login",
        "misago_users_user.last_ip",
        "misago_users_user.sync_*",
        "misago_threads_post.search_*",
        "misago_threads_post.checksum",
    ),
)
"""Tables and columns that a mere visit of a page changes."""


def recipe() -> Recipe:
    """Misago 0.39.6 with gunicorn."""
    return Recipe(
        name="misago",
        title="Misago 0.39.6, a forum",
        licence="GPL-2.0",
        requirements=("misago==0.39.6", "gunicorn==27.0.1", "whitenoise==6.12.0"),
        constraints=HERE / "constraints.txt",
        site=HERE / "site",
        world=world(),
        seed=(
            ("{python}", "-m", "django", "migrate", "--no-input", "--verbosity", "0"),
            ("{python}", "{site}/seed.py", "{world}"),
        ),
        serve=(
            *("{bin}/gunicorn", "forum_server:application", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "16", "--timeout", "60"),
        ),
        variables={"DJANGO_SETTINGS_MODULE": "forum_settings", "PYTHONDONTWRITEBYTECODE": "1"},
        disk_mb=320,
    )
