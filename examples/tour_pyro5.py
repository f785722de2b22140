"""The tour's Pyro5 program: it finds what the Pyro4 program registered. Runs under stock Pyro5."""

import Pyro5.api


def main():
    with Pyro5.api.locate_ns() as nameserver:
        for name, (uri, tags) in nameserver.list(prefix="lab.", return_metadata=True).items():
            print(name, "is", uri, "with the tags", tags)
        nameserver.register("lab.notebook", "PYRO:notebook@localhost:5555", metadata={"notebook"})
        print("cameras:", sorted(nameserver.yplookup(meta_all={"camera"})))


if __name__ == "__main__":
    main()
