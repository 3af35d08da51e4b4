"""Django settings of the forum."""

import os
import tempfile
from pathlib import Path

from celery import Celery
from misago.settings import *  # noqa: F403 - the names that Misago wants in every project
from misago.settings import TEMPLATE_CONTEXT_PROCESSORS
from tenants import follow_tenants

follow_tenants()

SECRET_KEY = "the forum is reached from this machine only"
DEBUG = False
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
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "KEY_FUNCTION": "tenants.cache_key",
        "OPTIONS": {"MAX_ENTRIES": 5_000},
    }
}
LANGUAGE_CODE, TIME_ZONE, USE_I18N, USE_TZ = "en-us", "UTC", True, True
FOLDER = Path(os.environ.get("RL_LOOP_FOLDER") or tempfile.gettempdir())
STATIC_URL, MEDIA_URL = "/static/", "/media/"
MEDIA_ROOT = str(FOLDER / "media")
WHITENOISE_USE_FINDERS = True
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
AUTH_USER_MODEL = "misago_users.User"
AUTHENTICATION_BACKENDS = ["misago.users.authbackends.MisagoBackend"]
CSRF_FAILURE_VIEW = "misago.core.errorpages.csrf_failure"
LOGIN_REDIRECT_URL, LOGIN_URL, LOGOUT_URL = "misago:index", "misago:login", "misago:logout"
ROOT_URLCONF = "forum_urls"
MIDDLEWARE = [
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "misago.users.middleware.RealIPMiddleware",
    "misago.core.middleware.FrontendContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "misago.cache.middleware.cache_versions_middleware",
    "misago.conf.middleware.dynamic_settings_middleware",
    "misago.socialauth.middleware.socialauth_providers_middleware",
    "misago.users.middleware.UserMiddleware",
    "misago.acl.middleware.user_acl_middleware",
    "misago.core.middleware.ExceptionHandlerMiddleware",
    "misago.users.middleware.OnlineTrackerMiddleware",
    "misago.admin.middleware.AdminAuthMiddleware",
    "misago.threads.middleware.UnreadThreadsCountMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": TEMPLATE_CONTEXT_PROCESSORS},
    }
]
REST_FRAMEWORK = {
    "DEFAULT_PERMISSION_CLASSES": ["misago.core.rest_permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "misago.core.exceptionhandler.handle_api_exception",
    "UNAUTHENTICATED_USER": "misago.users.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,
}
# Misago's tasks, such as telling who watches a thread, run within the request: there is no broker.
TASKS = Celery("forum")
TASKS.conf.update(task_always_eager=True, task_store_eager_result=False)
TASKS.set_default()
SOCIAL_AUTH_STRATEGY = "misago.socialauth.strategy.MisagoStrategy"
MISAGO_AVATARS_SIZES = [400, 200, 100]
MISAGO_SEARCH_CONFIG = "simple"
MISAGO_USER_DATA_DOWNLOADS_WORKING_DIR = str(FOLDER / "downloads")
MISAGO_PROFILE_FIELDS = [
    {
        "name": "Personal",
        "fields": [
            "misago.users.profilefields.default.RealNameField",
            "misago.users.profilefields.default.BioField",
            "misago.users.profilefields.default.LocationField",
        ],
    },
]
