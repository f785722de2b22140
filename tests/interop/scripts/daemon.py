"""A stock daemon with small objects. Arguments: ``NAME=OBJECT`` registers one in the name server that PYRO_NS_* say.

Prints ``OBJECT = URI`` for each object and then ``ready``.
"""

import sys

from peer import DIALECT, locate

if DIALECT == 4:
    from Pyro4 import Daemon, expose, oneway
else:
    from Pyro5.api import Daemon, expose, oneway


@expose
class Echo:
    """Gives back what it gets, or raises it."""

    def __init__(self):
        self._mood = "calm"
        self._noted = []

    def echo(self, value):
        return value

    def fail(self, text):
        raise ValueError(text)

    def dialect(self):
        return DIALECT

    @oneway
    def note(self, text):
        self._noted.append(text)

    def noted(self):
        return list(self._noted)

    @property
    def mood(self):
        return self._mood

    @mood.setter
    def mood(self, value):
        self._mood = value

    def numbers(self, count):
        yield from range(count)


with Daemon(host="127.0.0.1") as daemon:
    uris = {"echo": daemon.register(Echo(), "echo")}
    for name, uri in uris.items():
        print(f"{name} = {uri}")
    for argument in sys.argv[1:]:
        registered, _, name = argument.partition("=")
        with locate() as nameserver:
            nameserver.register(registered, uris[name], metadata=[f"dialect:{DIALECT}"])
    print("ready")
    sys.stdout.flush()
    daemon.requestLoop()
