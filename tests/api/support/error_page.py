"""The page of errors, docs/reference/errors.md."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "errors.md").read_text()


def reasons_of_page() -> dict[str, str]:
    """The code of each reason of the page."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
