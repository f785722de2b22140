"""Two name servers, a service that announces itself, and a client. The first name server is killed: nobody minds."""

import queue
import subprocess
import sys
import threading

import pyronym


@pyronym.expose
class Camera:
    def take(self) -> str:
        return "a picture"


def start_name_server() -> tuple[subprocess.Popen[str], str]:
    """The process, and where it listens."""
    command = [sys.executable, "-m", "pyronym.naming", "-p", "0", "-x"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # all of it is our own
    assert process.stdout is not None
    uri = next(line for line in process.stdout if line.startswith("URI = "))
    return process, uri.strip().rpartition("@")[2]


def main() -> None:
    notices: queue.SimpleQueue[pyronym.Notice] = queue.SimpleQueue()  # they come from a thread of their own

    def show_until(kind: pyronym.NoticeKind) -> None:
        seen = None
        while seen != kind:
            seen = notices.get().kind
            print(f"the camera is {seen}", flush=True)

    (first, here), (second, there) = start_name_server(), start_name_server()
    hosts = f"{here},{there}"
    try:
        with pyronym.Daemon() as daemon, pyronym.locateNS(hosts) as nameserver:
            threading.Thread(target=daemon.requestLoop, daemon=True).start()
            daemon.announce(Camera(), "lab.camera", lease=1.5, host=hosts, notify=notices.put)
            show_until(pyronym.NoticeKind.REGISTERED)
            print("the client finds it:", "lab.camera" in nameserver.list("lab."), flush=True)
            first.kill()
            first.wait()
            show_until(pyronym.NoticeKind.REGISTERED_AGAIN)
            print("the client finds it still:", "lab.camera" in nameserver.list("lab."), flush=True)
        show_until(pyronym.NoticeKind.ENDED)
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


if __name__ == "__main__":
    main()
