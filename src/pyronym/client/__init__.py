"""Blocking proxies, and finding a name server."""
