"""What a request says of itself: a link scanner, an image proxy, a browser that looks ahead. Judged further in tracking/judging.py."""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.utils.translation import gettext_lazy

# Names that scanners, libraries and previews give themselves. No person's browser holds any of them.
_MACHINES = re.compile(
    r"bot\b|bots?[/;) ]|crawl|spider|slurp|scanner|preview|prefetch|fetcher|monitor|headless|phantomjs|puppeteer|playwright|selenium"
    r"|curl/|wget/|python|urllib|aiohttp|httpx|scrapy|go-http-client|okhttp|apache-httpclient|java/|libwww|lwp::|perl|ruby|axios|node-fetch"
    r"|undici|guzzle|postman|insomnia|barracuda|proofpoint|mimecast|trendmicro|symantec|messagelabs|fireeye|sophos|fortinet|forcepoint"
    r"|zscaler|cisco|ironport|bitdefender|kaspersky|safelinks|virustotal|urlscan|facebookexternalhit|whatsapp|skypeuri|embedly|validator"
    r"|linkcheck",
    re.IGNORECASE,
)
# Providers that fetch images for their readers: that the picture was asked for says nothing sure about a person.
_PROXIES = re.compile(r"googleimageproxy|ggpht\.com|yahoomailproxy|yahoocachesystem|mail\.ru.*proxy", re.IGNORECASE)
_AHEAD = ("Purpose", "Sec-Purpose", "X-Purpose", "X-Moz")

WHY = {
    "person": gettext_lazy("a person"),
    "agent": gettext_lazy("a program by its own name"),
    "head": gettext_lazy("asked only whether the page is there (HEAD)"),
    "ahead": gettext_lazy("a browser that looked ahead"),
    "proxy": gettext_lazy("the image proxy of a mail provider"),
    "trap": gettext_lazy("followed the link that nobody sees"),
    "soon": gettext_lazy("sooner after the mail than a person reads"),
    "source": gettext_lazy("from the same place as a scanner"),
    "burst": gettext_lazy("many links of the mail at once"),
}


def suspicion(request: HttpRequest, *, is_pixel: bool) -> str:
    """Why the request comes from a machine, or an empty text where nothing says so."""
    agent = request.headers.get("User-Agent", "").strip()
    if request.method == "HEAD":
        return "head"
    if any("prefetch" in (said := request.headers.get(name, "").lower()) or "preview" in said for name in _AHEAD):
        return "ahead"
    return suspicion_of_agent(agent, is_pixel=is_pixel) or ("" if agent else "agent")


def suspicion_of_agent(agent: str, *, is_pixel: bool) -> str:
    """The same by the name alone that a program gives itself; an empty name says nothing."""
    # Apple's proxy, which fetches every picture of every mail, calls itself just that
    if is_pixel and (_PROXIES.search(agent) or agent == "Mozilla/5.0"):
        return "proxy"
    if agent == "Mozilla/5.0" or _MACHINES.search(agent):
        return "agent"
    return ""


def wants_not_to_be_noted(request: HttpRequest) -> bool:
    """The browser says so for its person (Global Privacy Control, Do Not Track)."""
    return request.headers.get("Sec-GPC") == "1" or request.headers.get("DNT") == "1"
