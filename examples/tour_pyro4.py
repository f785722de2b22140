"""The tour's Pyro4 program: it hosts a camera and registers it. It runs under stock Pyro4."""

import Pyro4


@Pyro4.expose
class Camera:
    def take(self):
        return "a picture"


def main():
    with Pyro4.Daemon() as daemon, Pyro4.locateNS() as nameserver:
        nameserver.register("lab.camera", daemon.register(Camera()), metadata={"camera"})
        print("registered lab.camera", flush=True)
        daemon.requestLoop()


if __name__ == "__main__":
    main()
