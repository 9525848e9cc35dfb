"""Settings whose values have a form of their own, and what is said of a value that does not have it."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator


def _rates(text: str) -> str:
    try:
        parse_many(text)
    except ValueError:
        raise ValueError("must be like 10/minute, or several: 10/minute;100/hour") from None
    return text


def _networks(hosts: list[str]) -> list[str]:
    for host in hosts:
        try:
            ipaddress.ip_network(host)
        except ValueError as error:
            raise ValueError(f"must be addresses or networks like 10.0.0.0/8 ({error})") from None
    return hosts


def _script(url: str) -> str:
    """An address that can stand in a page and in a content security policy as it is, or nothing."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError:
        host, port = None, None
    odd = not url.isascii() or any(letter in "\"'<>;,\\` " or not letter.isprintable() for letter in url)
    if odd or host is None or parts.scheme != "https" or "*" in host or "@" in parts.netloc or port == 0:
        raise ValueError("must be the address of one script, like https://analytics.example/script.js")
    return url


Rates = Annotated[str, AfterValidator(_rates)]
"""How often something may be done, as the library `limits` writes it."""

Networks = Annotated[list[str], AfterValidator(_networks)]
"""IP addresses and networks."""

ScriptUrl = Annotated[str, AfterValidator(_script)]
"""An https address of a script; "" for none."""
