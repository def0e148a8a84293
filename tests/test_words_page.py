"""docs/words.md gives each word one meaning, so each stands there once."""

import re
from collections import Counter
from pathlib import Path

_PAGE = Path(__file__).parents[1] / "docs" / "words.md"


def test_each_word_stands_once() -> None:
    words = re.findall(r"^\| ([^|]+?) \|", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert "watermark" in words
    assert [word for word, number in Counter(words).items() if number > 1] == []
