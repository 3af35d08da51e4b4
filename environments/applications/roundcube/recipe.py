"""How Roundcube is installed and started, with its mailboxes."""

from pathlib import Path

from environments.applications.hosted.files import Files
from environments.applications.hosted.recipe import Recipe
from environments.applications.roundcube.mailboxes import Mailboxes
from environments.applications.roundcube.world import world
from environments.providers.postgres.state import Ignored

HERE = Path(__file__).parent
IGNORED = Ignored(
    tables=("session", "cache*", "filestore"), columns=("users.last_login", "users.failed_*", "*.changed", "*.created")
)
"""Tables and columns that a mere visit of a page changes, and times."""
PACKAGES = (
    *("roundcube-core", "roundcube-pgsql", "php-cli", "php-intl", "php-mbstring", "php-pgsql", "php-xml"),
    *("dovecot-core", "dovecot-imapd", "php-auth-sasl", "php-mail-mime", "php-net-smtp", "php-net-socket", "php-pear"),
    # What a page or PHP loads from the folder of the packages has to lie there, also on a machine that has it.
    *("libjs-jquery", "libjs-jquery-ui", "libjs-bootstrap4", "libjs-popper.js", "libjs-jstimezonedetect"),
    *("php-masterminds-html5", "php-guzzlehttp-guzzle", "php-guzzlehttp-psr7", "php-guzzlehttp-promises"),
    *("php-psr-http-client", "php-psr-http-factory", "php-psr-http-message", "php-getallheaders"),
)


def recipe() -> Recipe:
    """Roundcube 1.6 with PHP's web server, Dovecot's `imap` and a sink for what is sent."""
    return Recipe(
        name="roundcube",
        title="Roundcube 1.6 with Dovecot 2.3, a mail application",
        licence="GPL-3.0",
        requirements=("aiosmtpd==1.4.6",),
        constraints=HERE / "constraints.txt",
        debian=PACKAGES,
        site=HERE / "site",
        world=world(),
        seed=(("{python}", "{site}/seed.py", "{world}"),),
        serve=("{python}", "{site}/serve.py", "{port}"),
        variables={"RL_LOOP_ROOT": "{root}", "PYTHONDONTWRITEBYTECODE": "1"},
        first_page="/?_task=mail",
        disk_mb=175,
    )


def files() -> Files:
    """The mailboxes. Dovecot never writes a mail in place."""
    return Files(read=Mailboxes().read, linked="*/cur/*")
