"""The ticket office as a WSGI application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "office_settings")

from django.core.wsgi import get_wsgi_application
from tenants import Tenants

application = Tenants(get_wsgi_application())
