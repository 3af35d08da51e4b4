"""Superset's settings; it imports them by this name."""

import os
import tempfile
from datetime import timedelta

from connections import OWNER, address, as_analyst, engine_options

DATA_DIR = os.environ.get("RL_LOOP_FOLDER") or tempfile.gettempdir()
SQLALCHEMY_DATABASE_URI = address(OWNER)
SQLALCHEMY_ENGINE_OPTIONS = engine_options(OWNER)
SQLALCHEMY_EXAMPLES_URI = None
DB_CONNECTION_MUTATOR = as_analyst
# The server starts without a database: only the commands that fill one have it in a variable.
FAB_CREATE_DB = FAB_UPDATE_PERMS = "RL_LOOP_DATABASE" in os.environ
# The session of the start state is a signed cookie; it does not grow old.
PERMANENT_SESSION_LIFETIME = timedelta(days=36_500)
WTF_CSRF_TIME_LIMIT = None
FEATURE_FLAGS = {"SQLLAB_BACKEND_PERSISTENCE": False}
# Nothing asks another host: the pages may not, and there are no mails, reports or uploads.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
ENABLE_CORS = False
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []
# Each episode has a host name of its own, so a browser loads every script anew: compressing them would cost more.
COMPRESS_REGISTER = False
ROW_LIMIT = 10_000
# The validator of Postgres needs a program that is not installed, and marks every query as wrong.
SQL_VALIDATORS_BY_ENGINE: dict[str, str] = {}
SQLLAB_TIMEOUT = 20
DEFAULT_SQLLAB_LIMIT = 1_000
