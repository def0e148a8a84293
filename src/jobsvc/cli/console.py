"""Where tables and waterfalls are printed."""

from rich.console import Console

#: Width when the output is a file or a pipe.
_PLAIN_WIDTH = 140


def new_console(stderr: bool = False) -> Console:
    """Returns a console for tables and waterfalls: coloured in a terminal, else plain and wide."""
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console
