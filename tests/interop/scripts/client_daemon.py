"""A stock daemon with one object that does what clients have to cope with. Prints its URI.

Arguments: the path of a Unix socket, or nothing; then an HMAC key, or nothing.
"""

import sys
import threading

from peer import DIALECT

if DIALECT == 4:
    from Pyro4 import Daemon, behavior, expose, oneway
else:
    from Pyro5.api import Daemon, behavior, expose, oneway


@expose
@behavior(instance_mode="single")
class Thing:
    """Remembers, fails, hangs, streams and counts."""

    def __init__(self):
        self._mood = "calm"
        self._streaming = False
        self._noted = threading.Event()

    def echo(self, *args, **kwargs):
        return [list(args), kwargs]

    def fail(self, text):
        raise ZeroDivisionError(text)

    def wait(self, seconds):
        return self._noted.wait(seconds)

    @oneway
    def note(self):
        self._noted.set()

    @property
    def mood(self):
        return self._mood

    @mood.setter
    def mood(self, value):
        self._mood = value

    def numbers(self, count):
        self._streaming = True
        try:
            yield from range(count)
        finally:
            self._streaming = False

    def streaming(self):
        return self._streaming

    def itself(self):
        return {"there": [self]}

    def call(self, proxy, method, *args):
        return getattr(proxy, method)(*args)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return (10, 20, 30)[index]


path, key = ([*sys.argv[1:], "", ""])[:2]
with Daemon(unixsocket=path) if path else Daemon(host="127.0.0.1") as daemon:
    if key:
        daemon._pyroHmacKey = key
    print("URI = " + str(daemon.register(Thing(), "thing")))
    daemon.requestLoop()
