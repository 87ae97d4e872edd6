"""What was worked out of a word once: logs say the same few words again and again."""

from collections.abc import Callable
from typing import Generic, TypeVar

_WORDS_LIMIT = 4096
_WORD_LIMIT = 64

_Word = TypeVar("_Word", str, bytes)
_Value = TypeVar("_Value")


class Memo(dict[_Word, _Value], Generic[_Word, _Value]):
    """`memo[word]` is `make(word)`. Bounded whatever a visitor makes a log say: begun anew when it is full, and a long
    word is not kept. What `make` raises is raised."""

    def __init__(self, make: Callable[[_Word], _Value]) -> None:
        super().__init__()
        self._make: Callable[[_Word], _Value] = make

    def __missing__(self, word: _Word) -> _Value:
        value = self._make(word)
        if len(word) <= _WORD_LIMIT:
            if len(self) >= _WORDS_LIMIT:
                self.clear()
            self[word] = value
        return value
