"""The word by which users find each other: made of the user's number, and the number is read out of it again."""

from typing import Final

_CONSONANTS: Final = "bcdfghjklmnprstvwxyz"
_VOWELS: Final = "aeiou"
_SYLLABLES: Final = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_BASE: Final = len(_SYLLABLES)


def nickname(user_id: int) -> str:
    """The user's nickname: a syllable for every two digits of the number."""
    word = ""
    while user_id or not word:
        user_id, digit = divmod(user_id, _BASE)
        word = _SYLLABLES[digit] + word
    return word


def user_of(word: str) -> int | None:
    """The number of the user of that nickname; ``None`` if it is nobody's."""
    number = 0
    for start in range(0, len(word), 2):
        syllable = word[start : start + 2]
        if syllable not in _SYLLABLES or number > 10**15:
            return None
        number = number * _BASE + _SYLLABLES.index(syllable)
    return number if nickname(number) == word else None
