"""A program of stock Pyro4 whose name goes when it dies: it registers with a lease, and renews that."""

import threading

import Pyro4

NAME, LEASE = "lab.camera", 1.5


@Pyro4.expose
class Camera:
    def take(self):
        return "a picture"


def keep_registered(uri):
    """Register, renew, and register again what the name server has forgotten."""
    lease_id = ""
    while True:
        try:
            with Pyro4.locateNS() as nameserver:
                while True:
                    outcome = nameserver.renew({NAME: lease_id})
                    if outcome["unknown"] or not lease_id:
                        lease_id = nameserver.register(NAME, uri, lease=LEASE)["id"]
                        print("registered", NAME, flush=True)
                    elif outcome["taken"]:
                        print("somebody else has", NAME, flush=True)
                        return
                    threading.Event().wait(LEASE / 3)
        except (Pyro4.errors.CommunicationError, Pyro4.errors.NamingError):
            threading.Event().wait(LEASE / 3)  # there is no name server; look for it again


def main():
    with Pyro4.Daemon() as daemon:
        uri = daemon.register(Camera())
        threading.Thread(target=keep_registered, args=(uri,), daemon=True).start()
        daemon.requestLoop()


if __name__ == "__main__":
    main()
