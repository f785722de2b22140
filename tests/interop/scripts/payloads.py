"""Read payloads that pyronym wrote, and write some for it to read.

Arguments: the folder of `stock_payloads`, and a JSON file with our payloads: serializer, then what, then hexadecimal.
Report: what is read differently from what this peer itself writes; and this peer's own payloads in the same form.
"""

import json
import sys

from peer import DIALECT, describe, report

folder, file = sys.argv[1:]
sys.path.insert(0, folder)
import stock_payloads  # noqa: E402  # from that folder

if DIALECT == 4:
    from Pyro4 import util

    names = ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle")
    serializers = {name: util.get_serializer(name) for name in names}
    peer = stock_payloads.pyro4()
else:
    from Pyro5.serializers import serializers

    peer = stock_payloads.pyro5()


def opened(value):
    """`value` with its proxies and wrappers replaced by what is in them."""
    kind = type(value)
    if kind in (list, tuple):
        return kind([opened(part) for part in value])
    if kind is dict:
        return {key: opened(part) for key, part in value.items()}
    if kind.__name__ == "_ExceptionWrapper":
        return ("failure", value.exception)
    if kind.__name__ == "Proxy":
        return ("proxy", value.__getstate__())
    return value


def expected(serializer, value):
    """What this peer reads of what it writes, or the value itself where it fails."""
    try:
        return serializer.loads(serializer.dumps(value))
    except Exception:
        return value


with open(file) as stream:
    ours = json.load(stream)
values = stock_payloads.values(peer)
differences = []
for name, payloads in ours.items():
    for what, payload in payloads.items():
        wanted = describe(opened(expected(serializers[name], values[what])))
        got = describe(opened(serializers[name].loads(bytes.fromhex(payload))))
        if got != wanted:
            differences.append(f"{name}, {what}: {got} instead of {wanted}")
report([differences, stock_payloads.payloads(peer, serializers)])
