"""Superset as a WSGI application."""

from superset.app import create_app
from superset.extensions import celery_app
from tenants import Tenants

application = Tenants(create_app())
# SQL Lab runs a query as a Celery task within the request. Celery builds its tasks when the first one is called, and a
# second call at that moment would find half of one.
celery_app.finalize()
