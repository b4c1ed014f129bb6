"""How many sockets one address may have, and how often it may knock. Pure; time is an argument. One per process.

Before anything else is looked at: a refused knock costs no query. An IPv6 address counts with its whole /64, which is
what one customer has. Addresses of this machine are not limited: they are programs here, or a proxy in front whose
visitors cannot be told apart because NUM_PROXIES is not set.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

MAX_ADDRESSES = 10_000  # remembered; past it the one that was quiet for longest is forgotten first


@dataclass(slots=True)
class Visitor:
    """One address: its open sockets, and a bucket of knocks that fills again."""

    sockets: int
    knocks: float
    at_s: float


class Doorkeeper:
    """Counts sockets and knocks by address."""

    def __init__(self, max_sockets: int, knocks_per_s: float) -> None:
        self.max_sockets = max_sockets
        self.knocks_per_s = knocks_per_s
        self._visitors: OrderedDict[str, Visitor] = OrderedDict()

    def enter(self, address: str, now_s: float) -> str:
        """Let a socket in, to be told of when it has `left`; or why not: "limit.knocks" or "limit.sockets"."""
        name = house(address)
        if not name:
            return ""
        visitor = self._visitors.setdefault(name, Visitor(0, self.knocks_per_s, now_s))
        self._visitors.move_to_end(name)
        self._forget()
        elapsed_s = max(0.0, now_s - visitor.at_s)
        visitor.knocks = min(self.knocks_per_s, visitor.knocks + elapsed_s * self.knocks_per_s)
        visitor.at_s = now_s
        if visitor.knocks < 1:
            return "limit.knocks"
        visitor.knocks -= 1
        if visitor.sockets >= self.max_sockets:
            return "limit.sockets"
        visitor.sockets += 1
        return ""

    def left(self, address: str) -> None:
        """A socket that was let in is closed."""
        visitor = self._visitors.get(house(address))
        if visitor is not None and visitor.sockets:
            visitor.sockets -= 1

    def _forget(self) -> None:
        for name in list(self._visitors)[: max(0, len(self._visitors) - MAX_ADDRESSES)]:
            if not self._visitors[name].sockets:
                del self._visitors[name]


def house(address: str) -> str:
    """What counts as one visitor: an IPv4 address, an IPv6 /64, "" for this machine; what is no address as it is."""
    try:
        found = ip_address(address.strip("[]"))
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return "" if found.is_loopback else str(ip_network((found, 64), strict=False))
        found = found.ipv4_mapped
    return "" if found.is_loopback else str(found)


def address_of(direct: str, forwarded: list[str], proxies: int) -> str:
    """The address that counts: the one that our own outermost proxy saw, never one that the visitor made up.

    `forwarded`: the X-Forwarded-For headers; `proxies`: how many proxies of ours stand in front (NUM_PROXIES).
    """
    seen = [part.strip() for header in forwarded for part in header.split(",") if part.strip()]
    if not proxies or not seen:
        return direct
    return seen[-min(proxies, len(seen))]
