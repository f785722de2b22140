"""Has a watch of etcd read nothing for a while, as when the network is gone."""

import threading


def hold(follower):
    """Have it not follow until what is returned is called."""
    gateway = follower._gateway
    stream, free, asked = gateway.stream, threading.Event(), threading.Event()

    def held(path, body):
        asked.set()
        free.wait(20)
        return stream(path, body)

    gateway.stream = held
    follower.begin_again()
    assert asked.wait(5), "the watch begins again"

    def release():
        gateway.stream = stream
        free.set()

    return release
