"""Open many proxies at once, then ask through every one of them.

Arguments: URI COUNT. Report: how many were answered.
"""

import sys

from peer import connect, report

uri, count = sys.argv[1], int(sys.argv[2])
proxies = [connect(uri) for _ in range(count)]
for proxy in proxies:
    proxy._pyroBind()
for number, proxy in enumerate(proxies):
    proxy.register(f"crowd.{number}", f"PYRO:member{number}@host:1")
answered = sum(str(proxy.lookup(f"crowd.{number}")).startswith("PYRO:member") for number, proxy in enumerate(proxies))
for proxy in proxies:
    proxy._pyroRelease()
report(answered)
