"""``python -m pyronym.nsc`` is the name server control tool, with the commands and the output of Pyro4's."""

from pyronym.cli.control import main

if __name__ == "__main__":
    main()
