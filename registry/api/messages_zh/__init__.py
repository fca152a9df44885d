"""What errors say, in Chinese: the sentence of a rule -> its translation, a file a resource.

Errors are raised with English sentences, here and everywhere below; at the boundary the sentence is
looked up. ``{}`` in a sentence stands for what an error puts there, in the translation too, in the
same order, or numbered (``{1}``) where Chinese wants another one. A sentence that is not found
stays as it is, and a test finds it in the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from registry.api.messages_zh import (
    access,
    accounts,
    common,
    exports,
    federation,
    files,
    identifiers,
    imports,
    labels,
    log,
    ranges,
    reading,
    registry,
    relations,
    snms,
    statistics,
    templates,
    words,
)

SENTENCES: Mapping[str, str] = {
    **common.SENTENCES,
    **access.SENTENCES,
    **accounts.SENTENCES,
    **registry.SENTENCES,
    **exports.SENTENCES,
    **federation.SENTENCES,
    **files.SENTENCES,
    **identifiers.SENTENCES,
    **imports.SENTENCES,
    **labels.SENTENCES,
    **log.SENTENCES,
    **ranges.SENTENCES,
    **reading.SENTENCES,
    **relations.SENTENCES,
    **snms.SENTENCES,
    **statistics.SENTENCES,
    **templates.SENTENCES,
}

MAX_TRANSLATED = 600
"""Characters of a sentence that is looked up: it may hold what a client has sent."""

_WORDS = {**words.WORDS, **reading.WORDS}
_HOLE = "{}"
_BETWEEN = re.compile(r", | or ")
_WORDS_ALONE = re.compile(r"[a-z_ ,]+")


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, sentence.split(_HOLE))), re.DOTALL)


def _longest(sentence: str) -> str:
    """Return the longest part of a sentence between its holes: to look for it is quick."""
    return max(sentence.split(_HOLE), key=len)


# The more a sentence says by itself, the earlier it is tried: "no key {}" before "no {}".
_PATTERNS = tuple(
    (_longest(sentence), _pattern(sentence), chinese)
    for sentence, chinese in sorted(
        SENTENCES.items(), key=lambda entry: len(entry[0].replace(_HOLE, "")), reverse=True
    )
    if _HOLE in sentence
)


def translate(detail: str) -> str:
    """Return the Chinese of a sentence, the sentence itself where there is none."""
    whole = SENTENCES.get(detail)
    if whole is not None:
        return whole
    if len(detail) > MAX_TRANSLATED:
        return detail
    for part, pattern, chinese in _PATTERNS:
        match = pattern.fullmatch(detail) if part in detail else None
        if match:
            return chinese.format(*map(_parameter, match.groups()))
    return detail


def _parameter(text: str) -> str:
    """Return the Chinese of what stands in a sentence: words of ours, joined by or and commas."""
    if text in SENTENCES:  # what an inner rule says, as the end of what an outer one does
        return SENTENCES[text]
    if not _WORDS_ALONE.fullmatch(text):
        return text
    if text in _WORDS:
        return _WORDS[text]
    return "、".join(_WORDS.get(word, word) for word in _BETWEEN.split(text))
