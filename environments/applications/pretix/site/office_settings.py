"""Django settings of the ticket office."""

import os
import tempfile

os.environ.setdefault("DATA_DIR", os.environ.get("RL_LOOP_FOLDER") or tempfile.mkdtemp(prefix="rl-loop-pretix-"))
os.environ.update(
    PRETIX_DATABASE_BACKEND="postgresql",
    PRETIX_PRETIX_URL="http://localhost",
    PRETIX_PRETIX_REGISTRATION="off",
    PRETIX_PRETIX_PASSWORD_RESET="off",
    PRETIX_PRETIX_ECB_RATES="off",
    PRETIX_DJANGO_SECRET="the ticket office is reached from this machine only",
    PRETIX_PRETIX_INSTANCE_NAME="Tickets",
)

from pretix.settings import *  # noqa: F403 - the names that pretix wants
from pretix.settings import MIDDLEWARE
from tenants import follow_tenants

follow_tenants()

ALLOWED_HOSTS = ["*"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "no-episode",
        "USER": "postgres",
        "HOST": os.environ["RL_LOOP_POSTGRES"],
        "PORT": 5432,
        "CONN_MAX_AGE": 0,
    }
}
EMAIL_BACKEND = EMAIL_CUSTOM_SMTP_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
CELERY_TASK_ALWAYS_EAGER = True
MIDDLEWARE = [
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *(
        "one_domain.OneDomainMiddleware" if name == "pretix.multidomain.middlewares.MultiDomainMiddleware" else name
        for name in MIDDLEWARE
    ),
]
