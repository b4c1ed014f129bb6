"""Which names the site answers to: `ALLOWED_HOSTS`, and any address for what load balancers and Prometheus ask."""

from ipaddress import ip_address

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.http.request import split_domain_port
from django.middleware.common import CommonMiddleware

FOR_PROGRAMS = {"/health", "/health/ready", "/metrics"}


class HostCheck(CommonMiddleware):
    """Django's own, which refuses other hosts. A health check knows a worker by its address, not by the site's name.

    Names stay refused: a page that makes a name of its own point to this machine could read the answers otherwise.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """None when the request may go on."""
        if request.path_info.removesuffix("/") in FOR_PROGRAMS and is_address(
            request.headers.get("Host", "")
        ):
            return None
        return super().process_request(request)


def is_address(host: str) -> bool:
    """Whether this is an IP address, with or without a port."""
    domain, _port = split_domain_port(host)
    try:
        ip_address(domain.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
