"""Figures as PNG pictures for slides, by matplotlib (extra `charts`), with a font that has Chinese characters.

Raises AggregatorError naming the package to install where matplotlib or such a font is missing.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from aggregator.errors import AggregatorError
from aggregator.report.figures import described, level, told
from aggregator.report.steps import label
from aggregator.report.values import Matrix, Timeline

FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "Heiti SC", "Microsoft YaHei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_SHADES = ("#f3f5f6", "#cfe8e3", "#9fd3ca", "#63b5aa", "#1f7f76", "#0b504b")
_DARK = 4  # from this level on, numbers are white
_DPI = 200
_HAN = range(0x2E80, 0x30000)


def matrix(found: Matrix) -> bytes:
    """The matrix as a PNG picture, 200 dots an inch."""
    columns, clauses = found.columns, found.clauses
    words = [column.label for column in columns] + [clause.titled() for clause in clauses]
    pyplot = _pyplot(words)
    figure, axes = pyplot.subplots(figsize=(4.2 + 0.5 * len(columns), 1.9 + 0.27 * len(clauses)), layout="constrained")
    for x, column in enumerate(columns):
        for y, clause in enumerate(clauses):
            cell = found.cell(clause, column)
            shade = level(cell.count, found.most)
            hatch = {"hatch": "////", "edgecolor": "#b8c1c8", "linewidth": 0} if cell.mark else {"edgecolor": "white"}
            axes.add_patch(pyplot.Rectangle((x, y), 0.96, 0.92, facecolor=_SHADES[shade], **hatch))
            ink = "white" if shade >= _DARK else "#22303a"
            axes.text(x + 0.48, y + 0.48, cell.shown.rstrip("!"), ha="center", va="center", fontsize=8, color=ink)
    axes.set(xlim=(0, max(len(columns), 1)), ylim=(max(len(clauses), 1), 0))
    names = [f"{column.label} ({column.total})" for column in columns]
    axes.set_xticks([x + 0.4 for x in range(len(columns))], names, rotation=45, ha="left", fontsize=8)
    titles = [f"{clause.number} {clause.titled()}" for clause in clauses]
    axes.set_yticks([y + 0.48 for y in range(len(clauses))], titles, fontsize=8)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    note = f"{described(found)} In brackets: all articles. Hatched: feed down or no data."
    axes.set_xlabel(note, fontsize=6.5, loc="left")
    return _png(pyplot, figure)


def timeline(found: Timeline, title: str) -> bytes:
    """The timeline as a PNG picture, 200 dots an inch."""
    pyplot = _pyplot([title, *(name for slot in found.slots for name in slot.down)])
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    places = range(len(found.slots))
    own = [slot.articles - slot.reprints for slot in found.slots]
    copied = [slot.reprints for slot in found.slots]
    for place, slot in enumerate(found.slots):
        if not slot.total or slot.down:
            hatch = "////" if not slot.total else ""
            colour = "#eef0f2" if not slot.total else "#fbeee8"
            axes.axvspan(place - 0.5, place + 0.5, facecolor=colour, edgecolor="#b8c1c8", linewidth=0, hatch=hatch)
    axes.bar(places, own, width=0.86, color="#0b6e69", label="own texts", zorder=2)
    axes.bar(places, copied, width=0.86, bottom=own, color="#8ccbc2", label="reprints", zorder=2)
    every = max(1, len(found.slots) // 9)
    shown = [place for place in places if place % every == 0]
    axes.set_xticks(shown, [label(found.slots[place].start, found.unit) for place in shown], fontsize=8)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_title(title, fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if any(copied):
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(f"{told(found)} Hatched: nothing read; pink: some feeds down.", fontsize=7)
    return _png(pyplot, figure)


def _png(pyplot: Any, figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    pyplot.close(figure)
    return buffer.getvalue()


def _pyplot(words: list[str]) -> Any:
    """Pyplot without a screen, with a font for these words."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as error:
        raise AggregatorError(
            "pictures need matplotlib: pip install 'aggregator[charts]' (.svg needs nothing)"
        ) from error
    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: ICN001 - the whole word says more

    font = chinese_font()
    if font is None and any(ord(char) in _HAN for word in words for char in word):
        raise AggregatorError(
            "no font with Chinese characters is installed, so the picture would show boxes: install fonts-noto-cjk or"
            " fonts-wqy-microhei (Debian, Ubuntu), google-noto-sans-cjk-fonts (Fedora); .svg needs none"
        )
    mpl.rcParams["font.family"] = [*([font] if font else []), "DejaVu Sans"]
    return pyplot


@cache
def chinese_font() -> str | None:
    """The first of FONTS that this machine has; None when there is none."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    found = next((name for name in FONTS if name in installed), None)
    if found:
        return found
    fresh = {font_manager.get_font(path).family_name: path for path in font_manager.findSystemFonts()[:2000]}
    found = next((name for name in FONTS if name in fresh), None)
    if found:
        font_manager.fontManager.addfont(fresh[found])
    return found
