"""Which font prints which character of a label.

ASCII and Western European letters are printed in Helvetica, which every reader of PDF has, and
Chinese in STSong-Light, one of the fonts with the Adobe-GB1 characters that a reader of PDF has
or replaces with its own (ISO 32000-1 section 9.7.5.2). Where neither may be relied on, as in a
printing house, a TrueType font is embedded, of which the file holds the characters that occur.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from protocol.errors import IdnodeError

Run = tuple[str, str]
"""Name of a font, and text that is printed in it."""

LATIN, CHINESE = "Helvetica", "STSong-Light"


@dataclass(frozen=True)
class Typeface:
    """Fonts that print labels. embedded: name of the one that is tried first; None: there is none.

    glyphs: the characters that the embedded one has.
    """

    embedded: str | None = None
    glyphs: frozenset[int] = frozenset()

    def printable(self, text: str) -> str:
        """Return `text` with percent-encoding (RFC 3986) for what no font has."""
        return "".join(
            char if self._font(char) is not None else quote(char, safe="") for char in text
        )

    def runs(self, text: str) -> list[Run]:
        """Cut a printable text where the font changes."""
        runs: list[Run] = []
        for char in text:
            font = self._font(char) or LATIN
            if runs and runs[-1][0] == font:
                runs[-1] = (font, runs[-1][1] + char)
            else:
                runs.append((font, char))
        return runs

    def width(self, text: str, size: float) -> float:
        """Return how wide a printable text is, in the unit of `size`."""
        return sum(pdfmetrics.stringWidth(part, font, size) for font, part in self.runs(text))

    def lines(self, text: str, size: float, width: float) -> list[str]:
        """Break a printable text, anywhere, into lines no wider than `width`.

        A line has one character at least.
        """
        lines, used = [""], 0.0
        for char in text:
            wide = self.width(char, size)
            if lines[-1] and used + wide > width:
                lines.append("")
                used = 0.0
            lines[-1] += char
            used += wide
        return lines

    def _font(self, char: str) -> str | None:
        if ord(char) in self.glyphs:
            return self.embedded
        if _in(char, "cp1252"):
            return LATIN
        # GBK is the part of Unicode that Adobe-GB1 has had since its supplement 2.
        return CHINESE if _in(char, "gbk") else None


def _in(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@functools.lru_cache(maxsize=4)
def typeface(font_file: Path | None = None) -> Typeface:
    """Return the fonts, made ready for use.

    font_file: TrueType font, or collection whose first is taken, to embed. Raises IdnodeError for
    one that cannot be.
    """
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    if font_file is None:
        return Typeface()
    name = f"label-{font_file}"
    try:
        font = TTFont(name, str(font_file))
    except (TTFError, OSError) as error:
        raise IdnodeError(f"the font of the labels, {font_file}, cannot be embedded") from error
    pdfmetrics.registerFont(font)
    return Typeface(name, frozenset(font.face.charToGlyph))
