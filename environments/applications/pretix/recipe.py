"""How pretix is installed and started."""

from pathlib import Path

from environments.applications.hosted.recipe import Recipe
from environments.applications.pretix.world import world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
IGNORED = Ignored(
    tables=("django_session", "pretixbase_logentry", "pretixbase_cached*", "pretixbase_usersession*"),
    columns=(
        "pretixbase_user.last_login",
        "pretixbase_order.last_modified",
        "pretixbase_quota.cached_*",
        "*.last_modified",
    ),
)
"""Tables and columns that a mere visit of a page changes, or that only tell what other tables tell too."""


def recipe() -> Recipe:
    """pretix 2026.8.0 with gunicorn."""
    return Recipe(
        name="pretix",
        title="pretix 2026.8.0, a ticket office",
        licence="AGPL-3.0 with additional terms",
        requirements=("pretix==2026.8.0", "gunicorn==27.0.1", "whitenoise==6.12.0"),
        constraints=HERE / "constraints.txt",
        site=HERE / "site",
        world=world(),
        seed=(
            ("{python}", "-m", "django", "migrate", "--no-input", "--verbosity", "0"),
            ("{python}", "{site}/seed.py", "{world}"),
        ),
        serve=(
            *("{bin}/gunicorn", "office_server:application", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "16", "--timeout", "60"),
        ),
        variables={"DJANGO_SETTINGS_MODULE": "office_settings", "PYTHONDONTWRITEBYTECODE": "1"},
        first_page="/control/events/",
        disk_mb=600,
    )
