"""What a point is, and how one ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")

#: Longest time of a point, whatever its script waits for.
MAX_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the contract states a rule, and its words there."""

    #: Path in the repository.
    file: str
    #: Message, method or section.
    place: str
    #: As it stands there, but for line breaks.
    words: str


@dataclass(frozen=True, slots=True)
class Point(Generic[S]):
    """One rule, and the conversation that tries it."""

    #: For `--only`.
    name: str
    #: What holds when it passes, in a few words.
    states: str
    rule: Rule
    #: Plays the conversation with the program that `S` starts; raises RuleBroken.
    script: Callable[[S], Awaitable[None]]


class RuleBroken(Exception):
    """The program did not do what the rule says. The text says what was seen, in one sentence."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a point."""

    name: str
    states: str
    rule: Rule
    #: What was seen instead; empty if it passed.
    fault: str
    #: The last line that the program wrote to standard error, or else to standard output.
    last_words: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the program kept the rule."""
        return not self.fault
