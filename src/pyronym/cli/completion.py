"""``pyronym completion``: what shells need to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from pyronym.cli.running import HELP


@click.command(context_settings=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, options, and the names of the name server.

    \b
    Examples:
      echo 'source <(pyronym completion bash)' >>~/.bashrc
      echo 'source <(pyronym completion zsh)' >>~/.zshrc
      pyronym completion fish >~/.config/fish/completions/pyronym.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "click has one for each of these"
    click.echo(made(click.Group(), {}, "pyronym", "_PYRONYM_COMPLETE").source(), nl=False)
