"""An svg file made fit to stand inside a page beside others."""

from __future__ import annotations

import re
from html import escape

from xlprobe.plots.palette import adaptable

__all__ = ["inline_svg"]


def inline_svg(svg: str, name: str, alternative: str) -> str:
    """Return the svg element with ids of its own, a text alternative, and size and colours that follow the page.

    Ids of several figures would clash in one page, so each gets the figure's name in front.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Hundredths of a point are finer than any screen shows, and half the size.
    body = re.sub(r"(\d\.\d\d)\d+", r"\1", body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    head = body[: body.index(">") + 1]
    box = re.search(r'viewBox="([^"]+)"', head)
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="{escape(alternative, quote=True)}"' + (f' viewBox="{box.group(1)}"' if box else "") + ">"
    )
    # A style element inside an inline svg holds for the whole page; what matplotlib sets there is the default anyway
    # in all but line joins, which therefore go on the element itself.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body[len(head) :], flags=re.DOTALL)
    opening = opening.replace(' role="img"', ' role="img" style="stroke-linejoin:round;stroke-linecap:butt"')
    return opening + adaptable(body)
