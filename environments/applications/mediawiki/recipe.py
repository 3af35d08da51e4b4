"""How MediaWiki is installed and started."""

from pathlib import Path

from environments.applications.hosted.recipe import Recipe
from environments.applications.mediawiki.world import world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
PHP = "{root}/usr/bin/php8.2"
PARTS = ("cli", "common", "intl", "mbstring", "opcache", "pgsql", "xml")
WORKERS = 6
IGNORED = Ignored(
    tables=("objectcache", "module_deps", "l10n_cache", "querycache*", "job", "site_stats"),
    columns=(
        "page.page_touched",
        "page.titlevector",
        "text.textvector",
        "user.user_touched",
        "watchlist.wl_notificationtimestamp",
    ),
)
"""Tables and columns that a mere visit of a page changes: caches, sessions, the queue of jobs, counters."""


def recipe() -> Recipe:
    """MediaWiki 1.39 of Debian 12 with PHP's own server."""
    return Recipe(
        name="mediawiki",
        title="MediaWiki 1.39, a wiki",
        licence="GPL-2.0-or-later",
        debian=("mediawiki", *(f"php8.2-{part}" for part in PARTS)),
        site=HERE / "site",
        world=world(),
        seed=(("sh", "{site}/install.sh"), (PHP, "{site}/seed.php", "{world}")),
        serve=(
            *(PHP, "-q", "-d", "disable_functions=flush", "-S", "127.0.0.1:{port}"),
            *("-t", "{root}/usr/share/mediawiki", "{site}/router.php"),
        ),
        variables={
            "WIKI_ROOT": "{root}",
            "PHPRC": "{site}",
            "PHP_INI_SCAN_DIR": "",
            "MW_CONFIG_FILE": "{site}/LocalSettings.php",
            "LD_LIBRARY_PATH": "{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu",
            "PHP_CLI_SERVER_WORKERS": str(WORKERS),
        },
        first_page="/wiki/Main_Page",
        disk_mb=320,
    )
