"""Every host name is that of the main site: the host says which episode a request belongs to."""

from django.http.request import split_domain_port
from django.urls import set_urlconf
from pretix.multidomain.middlewares import MultiDomainMiddleware


class OneDomainMiddleware(MultiDomainMiddleware):
    """Takes the place of pretix's lookup of domains."""

    def process_request(self, request) -> None:
        """Sets what pretix's own middleware sets for its main domain."""
        domain, port = split_domain_port(request.headers.get("Host", ""))
        request.host, request.port = domain, int(port) if port else None
        request.urlconf = "pretix.multidomain.maindomain_urlconf"
        set_urlconf(request.urlconf)
