"""Addresses of the forum: all of them are Misago's."""

from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

urlpatterns = [
    path("django-i18n.js", JavaScriptCatalog.as_view(), name="django-i18n"),
    path("", include("misago.urls", namespace="misago")),
]
handler403 = "misago.core.errorpages.permission_denied"
handler404 = "misago.core.errorpages.page_not_found"
