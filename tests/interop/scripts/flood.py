"""Register names as fast as answers come, until the server goes away. Argument: URI.

Prints each name as soon as its registration was acknowledged.
"""

import itertools
import sys

from peer import connect, errors

with connect(sys.argv[1]) as proxy:
    try:
        for number in itertools.count():
            proxy.register(f"flood.{number}", f"PYRO:flood{number}@host:1", metadata=["kept"])
            print(f"flood.{number}", flush=True)
    except errors.CommunicationError:
        pass
