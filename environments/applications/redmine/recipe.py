"""How Redmine is installed and started."""

import os
import platform
from pathlib import Path

from environments.applications.hosted.recipe import Recipe
from environments.applications.redmine.world import world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
IGNORED = Ignored(tables=("tokens",), columns=("users.last_login_on",))
"""Tables and columns that a mere visit of a page changes: keys of sessions and feeds."""
RUBY = "{root}/usr/bin/ruby3.1"
USR_LIB, LIBRARIES = "{root}/usr/lib", f"{{root}}/usr/lib/{platform.machine()}-linux-gnu"
VARIABLES = {
    "LD_LIBRARY_PATH": LIBRARIES,
    "RUBYLIB": os.pathsep.join(
        (
            *(f"{USR_LIB}/ruby/vendor_ruby", f"{LIBRARIES}/ruby/vendor_ruby/3.1.0"),
            *(f"{USR_LIB}/ruby/3.1.0", f"{LIBRARIES}/ruby/3.1.0"),
        )
    ),
    "GEM_PATH": os.pathsep.join(
        (
            *("{root}/usr/share/rubygems-integration/all", "{root}/usr/share/rubygems-integration/3.1.0"),
            *(f"{LIBRARIES}/rubygems-integration/3.1.0", f"{USR_LIB}/ruby/gems/3.1.0"),
        )
    ),
    "BUNDLE_GEMFILE": "{root}/bundle/Gemfile",
    "BUNDLE_USER_HOME": "{root}/bundle",
    "RAILS_ENV": "production",
    # Rails writes times as the clock on the wall says them.
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "RL_LOOP_REDMINE": "{root}/usr/share/redmine",
}


def recipe() -> Recipe:
    """Redmine 5.0.4 of Debian 12 with puma."""
    return Recipe(
        name="redmine",
        title="Redmine 5.0.4, a project tracker",
        licence="GPL-2.0",
        debian=(
            *("redmine", "redmine-pgsql", "ruby-rails", "puma", "ruby3.1", "libruby3.1"),
            # Redmine's pages have links into their folders.
            *("libjs-jquery", "libjs-jquery-ui", "libjs-raphael", "libjs-chart.js", "ruby-jquery-rails"),
        ),
        site=HERE / "site",
        world=world(),
        seed=(
            (RUBY, "{site}/prepare.rb", "{root}"),
            (RUBY, "{site}/migrate.rb", "{world}"),
            (RUBY, "{site}/seed.rb", "{world}"),
        ),
        serve=(
            *(RUBY, "{root}/usr/bin/puma", "--bind", "tcp://127.0.0.1:{port}", "--workers", "0", "--threads", "4:16"),
            "{site}/config.ru",
        ),
        variables=VARIABLES,
        first_page="/my/page",
        disk_mb=190,
    )
