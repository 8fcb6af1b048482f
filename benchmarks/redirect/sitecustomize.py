"""Leads `*.myshopify.com` to a server on this machine, for a program that knows no other address.

Python imports this by itself when its folder is on PYTHONPATH. The program stays as it is: its name lookups
for such hosts end on loopback, at BENCH_SHOPIFY_PORT, and its connections to them carry no TLS.
"""

import os
import socket
import ssl
from typing import Any

HOSTS = ".myshopify.com"
PORT = int(os.environ["BENCH_SHOPIFY_PORT"])
look_up, wrap = socket.getaddrinfo, ssl.SSLContext.wrap_socket


def getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
    """Look a name up, such a host's as loopback."""
    if str(host).endswith(HOSTS):
        host, port = "127.0.0.1", PORT
    return look_up(host, port, *arguments, **named)


def wrap_socket(self: ssl.SSLContext, sock: socket.socket, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
    """Begin TLS, except with such a host."""
    if str(named.get("server_hostname", "")).endswith(HOSTS):
        return sock
    return wrap(self, sock, *arguments, **named)


socket.getaddrinfo = getaddrinfo
ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign]
