"""A stock Pyro4 program that registers, removes and looks up names at one node, and writes a line for each call.

Arguments: URI SEED NAMES SAFE_NAMES, names separated by commas; the latter are registered only where there are none. It
goes on until SIGTERM, and then ends with the call that it is in.
"""

import json
import random
import signal
import sys
import time

import Pyro4

over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(True))
Pyro4.config.COMMTIMEOUT = 2.5
uri, seed, names, safe_names = sys.argv[1:]
names, safe_names = names.split(","), safe_names.split(",")
chance = random.Random(seed)
name_server = Pyro4.Proxy(uri)


def call(kind, name, own_uri):
    """The outcome, and what was found."""
    try:
        if kind == "lookup":
            return "ok", {"uri": str(name_server.lookup(name))}
        if kind == "remove":
            return "ok", {"count": name_server.remove(name)}
        name_server.register(name, own_uri, safe=kind == "register_safe")
        return "ok", {"uri": own_uri}
    except Pyro4.errors.NamingError as problem:
        return refused(str(problem), kind, own_uri)
    except Pyro4.errors.CommunicationError:
        name_server._pyroRelease()
        return "unknown", {"uri": own_uri}


def refused(words, kind, own_uri):
    if words.startswith("unknown name"):
        return "ok", {}
    outcome = "unknown"
    if words.startswith("name already registered"):
        outcome = "taken"
    elif "nothing was changed" in words:
        outcome = "refused"
    return outcome, {"uri": own_uri, "words": words}


number = 0
while not over:
    time.sleep(chance.random() * 0.1)
    number += 1
    kind = chance.choice(["register", "register_safe", "remove", "lookup", "lookup"])
    name = chance.choice({"register": names, "register_safe": safe_names}.get(kind, names + safe_names))
    invoked = time.monotonic()
    outcome, found = call(kind, name, f"PYRO:stock-{number}@host:1")
    said = dict(found, kind=kind, name=name, invoked=invoked, returned=time.monotonic(), outcome=outcome)
    print(json.dumps(said), flush=True)
