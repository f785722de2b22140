"""``python -m pyronym`` is ``pyronym``."""

from pyronym.cli.main import main

if __name__ == "__main__":
    main()
