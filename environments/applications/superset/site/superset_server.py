"""Superset as a WSGI application."""

from superset.app import create_app
from tenants import Tenants

application = Tenants(create_app())
