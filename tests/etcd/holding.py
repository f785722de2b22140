"""Has a watch of etcd read nothing for a while, as when the network is gone."""

import threading


def hold(follower):
    """Have it not follow until what is returned is called."""
    transport = follower._transport
    stream, free, asked = transport.stream, threading.Event(), threading.Event()

    def held(method, request):
        asked.set()
        free.wait(20)
        return stream(method, request)

    transport.stream = held
    follower.begin_again()
    assert asked.wait(5), "the watch begins again"

    def release():
        transport.stream = stream
        free.set()

    return release
