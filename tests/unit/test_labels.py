"""Symbols, pictures and sheets of labels, read back by decoders that had no part in making them."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import cv2
import numpy
import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from reportlab.lib.units import mm

from protocol.errors import IdnodeError, InvalidHandle, InvalidValue
from protocol.identifier import Identifier
from registry.labels import archive, pictures, selection, symbols
from registry.labels.links import leads_to_loopback, link
from registry.labels.pictures import Measures
from registry.labels.sheets import Layout, Sheets
from registry.labels.symbols import Symbol

SHORT = "https://id.example.cn/resolve/88.118.35/SN-0000001"
LONG = "https://id.example.cn/resolve/88.118.35/" + "%E5%8F%B7" * 150
KINDS = (symbols.QR, symbols.DATA_MATRIX)


def read(picture: Image.Image) -> set[str]:
    """Return what ZXing reads in a picture."""
    return {found.text for found in zxingcpp.read_barcodes(picture)}


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("L")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [SHORT, LONG, "https://a.cn/resolve/88.118.35/x"])
def test_what_is_encoded_is_what_is_read(kind: str, text: str) -> None:
    symbol = symbols.encode(text, kind)
    picture = opened(pictures.png(symbol, Measures()))
    assert read(picture) == {text}
    if kind == symbols.QR and len(text) < 100:
        found, _, _ = cv2.QRCodeDetector().detectAndDecode(numpy.asarray(picture))
        assert found == text


@pytest.mark.parametrize("level", ["l", "m", "q", "h"])
def test_a_damaged_symbol_is_read_as_its_level_promises(level: str) -> None:
    symbol = symbols.encode(SHORT, symbols.QR, level)
    found = zxingcpp.read_barcodes(opened(pictures.png(symbol, Measures())))
    # libzint takes a higher level where the symbol grows no larger by it.
    assert "lmqh".index(found[0].ec_level.lower()) >= "lmqh".index(level)


def test_a_higher_level_makes_no_smaller_symbol() -> None:
    sizes = [symbols.encode(SHORT, symbols.QR, level).size for level in "lmqh"]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dpi", [203, 300, 600])
def test_a_png_at_print_scale_is_read_and_has_its_true_size(kind: str, dpi: int) -> None:
    symbol = symbols.encode(SHORT, kind)
    png = pictures.png(symbol, Measures(module_mm=0.4, dpi=dpi))
    picture = Image.open(io.BytesIO(png))
    assert read(picture.convert("L")) == {SHORT}
    side_mm = picture.width / picture.info["dpi"][0] * 25.4
    modules = symbol.size + 2 * symbols.QUIET_ZONE[kind]
    assert side_mm / modules == pytest.approx(0.4, abs=25.4 / dpi / 2)


def quiet_zone(picture: Image.Image, pixels: int) -> int:
    """Return the light margin, in modules of so many pixels; alike on all sides, or it fails."""
    left, top, right, bottom = Image.eval(picture, lambda value: 255 - value).getbbox() or (0,) * 4
    margins = {left, top, picture.width - right, picture.height - bottom}
    assert len(margins) == 1
    return margins.pop() // pixels


@pytest.mark.parametrize(("kind", "least"), [(symbols.QR, 4), (symbols.DATA_MATRIX, 1)])
def test_quiet_zone_is_what_the_standard_demands_and_no_less(kind: str, least: int) -> None:
    symbol = symbols.encode(SHORT, kind)
    measures = Measures(module_mm=0.508, dpi=300)  # six pixels
    assert quiet_zone(opened(pictures.png(symbol, measures)), 6) == least
    wide = Measures(module_mm=0.508, dpi=300, quiet_zone=9)
    assert quiet_zone(opened(pictures.png(symbol, wide)), 6) == 9
    if least > 1:
        with pytest.raises(InvalidValue) as refused:
            pictures.png(symbol, Measures(quiet_zone=least - 1))
        assert refused.value.field == "quiet_zone"


def drawn(svg: str, pixels: int = 8) -> Image.Image:
    """Draw the runs of one of our SVG pictures."""
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1])  # type: ignore[index]
    picture = numpy.full((side, side), 255, dtype=numpy.uint8)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", svg):
        picture[int(y), int(x) : int(x) + int(width)] = 0
    return Image.fromarray(numpy.kron(picture, numpy.ones((pixels, pixels), dtype=numpy.uint8)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_svg_says_the_same_and_is_in_millimetres(kind: str) -> None:
    symbol = symbols.encode(SHORT, kind)
    svg = pictures.svg(symbol, "88.118.35/<SN> & Co", Measures(module_mm=0.5)).decode()
    assert read(drawn(svg)) == {SHORT}
    side = (symbol.size + 2 * symbols.QUIET_ZONE[kind]) * 0.5
    assert f'width="{side:g}mm" height="{side:g}mm"' in svg
    assert "<title>88.118.35/&lt;SN&gt; &amp; Co</title>" in svg


@pytest.mark.parametrize(
    ("measures", "field"),
    [
        (Measures(module_mm=0.25, dpi=72), "dpi"),
        (Measures(module_mm=5.0, dpi=2400), "module_mm"),
    ],
)
def test_a_picture_too_small_or_too_large_is_refused(measures: Measures, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        pictures.png(symbols.encode(SHORT, symbols.QR), measures)
    assert refused.value.field == field


def test_pictures_that_would_take_minutes_together_are_refused() -> None:
    symbol = symbols.encode(SHORT, symbols.QR)
    side = opened(pictures.png(symbol, Measures())).width
    most = pictures.MAX_PIXELS // side**2
    pictures.check_pixels([symbol] * most, Measures())
    with pytest.raises(InvalidValue, match="together") as refused:
        pictures.check_pixels([symbol] * (most + 1), Measures())
    assert refused.value.field == "module_mm"


@pytest.mark.parametrize(
    ("url", "loops"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8000", True),
        ("http://[::]:8000", True),
        ("http://localhost:8000/node", True),
        ("https://node.LOCALHOST.", True),
        ("https://id.example.org", False),
        ("https://localhost.example.org", False),
        ("http://10.0.0.7:8000", False),
        ("http://[2001:db8::1]", False),
    ],
)
def test_which_addresses_lead_each_phone_to_itself(url: str, loops: bool) -> None:
    assert leads_to_loopback(url) == loops


def test_a_notice_stands_at_the_foot_of_each_sheet_with_room_for_it() -> None:
    symbol, notice = symbols.encode(SHORT, symbols.QR), "仅本机可打开: only here"
    for margin, told in ((12.9, True), (5.0, False)):
        document = Sheets(Layout(margin_y=margin), title="test", notice=notice)
        for _ in range(25):
            document.add(symbol, "x")
        pages = pypdfium2.PdfDocument(document.finish())
        assert len(pages) == 2
        for page_ in pages:
            assert ("only here" in page_.get_textpage().get_text_range()) == told


def test_a_text_that_no_symbol_holds_is_refused() -> None:
    most = "https://id.example.cn/resolve/88.118.35/" + "%E5%8F%B7" * 240
    assert read(opened(pictures.png(symbols.encode(most, symbols.QR, "l"), Measures()))) == {most}
    with pytest.raises(InvalidValue) as refused:
        symbols.encode(most, symbols.DATA_MATRIX)
    assert refused.value.field == "symbol"
    with pytest.raises(InvalidValue) as refused:
        symbols.encode(most * 2, symbols.QR)
    assert refused.value.field == "symbol"


def test_data_matrix_has_no_levels() -> None:
    with pytest.raises(InvalidValue) as refused:
        symbols.encode(SHORT, symbols.DATA_MATRIX, "h")
    assert refused.value.field == "level"


@pytest.mark.parametrize(
    ("suffix", "path"),
    [
        ("SN-0001", "88.118.35/SN-0001"),
        ("a b", "88.118.35/a%20b"),
        ("a/b?c#d", "88.118.35/a/b%3Fc%23d"),
        ("100%", "88.118.35/100%25"),
        ("号", "88.118.35/%E5%8F%B7"),
        ("..", "88.118.35%2F.%2E"),
        ("a/./b", "88.118.35%2Fa%2F.%2Fb"),
        ("end.", "88.118.35/end%2E"),
        ("(a)", "88.118.35/%28a%29"),
    ],
)
def test_a_link_leads_to_its_identifier_alone(suffix: str, path: str) -> None:
    identifier = Identifier.of("88.118.35", suffix)
    url = link("https://id.example.cn", identifier)
    assert url == f"https://id.example.cn/resolve/{path}"
    assert Identifier.from_url(path) == identifier


def page(pdf: bytes, number: int = 0, dpi: int = 300) -> Image.Image:
    return pypdfium2.PdfDocument(pdf)[number].render(scale=dpi / 72).to_pil().convert("L")


def sheet(
    labels: list[tuple[Symbol, str]], layout: Layout | None = None, font_file: Path | None = None
) -> bytes:
    document = Sheets(layout or Layout(), title="test", font_file=font_file)
    for symbol, text in labels:
        document.add(symbol, text)
    return document.finish()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dpi", [203, 300])
def test_each_label_of_a_printed_sheet_is_read(kind: str, dpi: int) -> None:
    texts = [f"88.118.35/SN-{number:04d}" for number in range(1, 31)]
    urls = [f"https://id.example.cn/resolve/{text}" for text in texts]
    pdf = sheet([(symbols.encode(url, kind), text) for url, text in zip(urls, texts, strict=True)])
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 2
    assert read(page(pdf, 0, dpi)) == set(urls[:24])
    assert read(page(pdf, 1, dpi)) == set(urls[24:])
    assert document[0].get_textpage().get_text_range().split() == texts[:24]


def test_a_sheet_is_a4_and_labels_stand_where_the_layout_says() -> None:
    layout = Layout(columns=2, rows=4, margin_x=10, margin_y=20, gap_x=6, gap_y=3, start=8)
    symbol = symbols.encode(SHORT, symbols.QR)
    pdf = sheet([(symbol, "x"), (symbol, "y")], layout)
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 2
    assert document[0].get_size() == pytest.approx((210 * mm, 297 * mm), abs=0.01)
    width, height = (210 - 20 - 6) / 2, (297 - 40 - 9) / 4
    assert layout.label_mm == (width, height)
    for number, (left, top) in enumerate([(10 + width + 6, 20 + 3 * (height + 3)), (10, 20)]):
        found = zxingcpp.read_barcodes(page(pdf, number))
        assert len(found) == 1
        place = found[0].position
        centre = (place.top_left.x + place.bottom_right.x) / 2 / 300 * 25.4
        assert centre == pytest.approx(left + width / 2, abs=0.5)
        assert top < place.top_left.y / 300 * 25.4 < place.bottom_right.y / 300 * 25.4
        assert place.bottom_right.y / 300 * 25.4 < top + height
    assert b"/PrintScaling /None" in pdf


def test_chinese_is_printed_and_what_no_font_has_is_escaped() -> None:
    symbol = symbols.encode(SHORT, symbols.QR)
    pdf = sheet([(symbol, "88.118.35/产品编号-é-\U0001f600")])
    text = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()
    assert "".join(text.split()) == "88.118.35/产品编号-é-%F0%9F%98%80"
    assert b"/STSong-Light" in pdf
    assert b"/UniGB-UCS2-H" in pdf


FONT = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")


def test_a_font_that_is_given_is_embedded() -> None:
    if not FONT.exists():
        pytest.skip("no Chinese font on this machine")
    symbol = symbols.encode(SHORT, symbols.QR)
    pdf = sheet([(symbol, "88.118.35/产品")], font_file=FONT)
    assert b"/FontFile2" in pdf
    assert b"/STSong-Light" not in pdf
    assert len(pdf) < 100_000
    ink = numpy.asarray(page(pdf)) < 128
    blank = numpy.asarray(page(sheet([(symbol, "88.118.35/")], font_file=FONT))) < 128
    assert ink.sum() > blank.sum()


def test_a_font_that_cannot_be_embedded_is_told_of(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.ttf"
    wrong.write_bytes(b"no font")
    with pytest.raises(IdnodeError, match=r"wrong\.ttf"):
        sheet([], font_file=wrong)


def test_a_long_identifier_is_broken_into_lines_that_fit() -> None:
    text = "88.118.35/" + "A1b2-" * 49
    pdf = sheet([(symbols.encode(f"https://a.cn/resolve/{text}", symbols.QR, "l"), text)])
    found = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()
    assert "".join(found.split()) == text
    assert read(page(pdf, dpi=600)) == {f"https://a.cn/resolve/{text}"}


@pytest.mark.parametrize(
    ("layout", "field"),
    [
        (Layout(columns=20), "sheet.columns"),
        (Layout(rows=28), "sheet.rows"),
        (Layout(start=25), "sheet.start"),
        (Layout(columns=12, rows=20, margin_x=0, margin_y=5, gap_x=0), "sheet"),
    ],
)
def test_labels_too_small_are_refused(layout: Layout, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        sheet([(symbols.encode(LONG, symbols.QR), "88.118.35/x")], layout)
    assert refused.value.field == field


def test_the_same_labels_make_the_same_file() -> None:
    labels = [(symbols.encode(SHORT, symbols.QR), "x")]
    assert sheet(labels) == sheet(labels)
    files = [("a.svg", b"1"), ("b.svg", b"2" * 1000)]
    made = list(archive.zipped(files))
    assert made == list(archive.zipped(files))
    assert len(made) == 3
    with zipfile.ZipFile(io.BytesIO(b"".join(made))) as read_back:
        assert read_back.testzip() is None
        assert [(name, read_back.read(name)) for name in read_back.namelist()] == files


def test_members_of_a_range() -> None:
    made = [str(member) for member in selection.members("88.118.35", "SN-098", "SN-101")]
    assert made == [f"88.118.35/SN-{number}" for number in ("098", "099", "100", "101")]
    assert len(selection.members("88.118.35", "1000", "5999")) == selection.MAX_LABELS
    assert len(selection.members("88.118.35", "9" * 30, "9" * 30)) == 1


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("SN", "SN-2", "range.first"),
        ("SN-1", "SM-2", "range.last"),
        ("SN-1", "SN-10", "range.last"),
        ("SN-2", "SN-1", "range.last"),
        ("SN-0000", "SN-5000", "range"),
    ],
)
def test_a_range_that_is_none_is_refused(first: str, last: str, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        selection.members("88.118.35", first, last)
    assert refused.value.field == field


def test_a_bad_identifier_in_a_list_is_named_by_its_place() -> None:
    with pytest.raises(InvalidHandle) as refused:
        selection.listed(["88.118.35/a", "88.118.35/\u202e"])
    assert refused.value.field == "identifiers[1].suffix"
