"""``python -m pyronym.naming`` is ``pyronym serve``."""

from pyronym.cli.serve import main

if __name__ == "__main__":
    main()
