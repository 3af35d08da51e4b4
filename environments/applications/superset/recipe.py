"""How Superset is installed and started."""

from pathlib import Path

from environments.applications.hosted.recipe import Recipe
from environments.applications.superset.world import SECRET, world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
IGNORED = Ignored(
    tables=("cache_keys", "key_value", "keyvalue", "logs", "tab_state", "table_schema"),
    columns=(
        *("ab_user.last_login", "ab_user.login_count", "ab_user.fail_login_count"),
        *("*.changed_on", "*.changed_by_fk", "slices.query_context", "slices.last_saved_*"),
    ),
)
"""Tables and columns that a mere visit of a page changes."""


def recipe() -> Recipe:
    """Superset 6.1.0 with gunicorn."""
    return Recipe(
        name="superset",
        title="Apache Superset 6.1.0, charts and dashboards",
        licence="Apache-2.0",
        # Superset imports the last two without asking for them.
        requirements=("apache-superset[postgres]==6.1.0", "gunicorn==27.0.1", "cachetools==8.0.2", "rich==13.9.4"),
        constraints=HERE / "constraints.txt",
        site=HERE / "site",
        world=world(),
        seed=(
            ("{bin}/superset", "db", "upgrade"),
            ("{bin}/superset", "init"),
            ("{python}", "{site}/seed.py", "{world}"),
        ),
        serve=(
            *("{bin}/gunicorn", "superset_server:application", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "16", "--timeout", "60"),
            # A page loads a hundred scripts: a connection that is closed at that moment would cost one of them.
            *("--keep-alive", "75"),
        ),
        variables={"SUPERSET_SECRET_KEY": SECRET, "PYTHONDONTWRITEBYTECODE": "1"},
        first_page="/superset/welcome/",
        disk_mb=850,
    )
