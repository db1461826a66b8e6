"""The languages that mails are written in: which way they run, and the few words that every mail needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from django.conf.locale import LANG_INFO

RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ku-arab", "ps", "sd", "ug", "ur", "yi"})
WHOLE_WORDS = frozenset({"ko"})  # that browsers break within words, and readers do not

# language -> (preferences, unsubscribe): the two links that the law wants in words that the reader reads
_WAYS_OUT = {
    "ar": ("التفضيلات", "إلغاء الاشتراك"),
    "bg": ("Предпочитания", "Отписване"),
    "cs": ("Předvolby", "Odhlásit se"),
    "da": ("Indstillinger", "Afmeld"),
    "de": ("Einstellungen", "Abmelden"),
    "el": ("Προτιμήσεις", "Διαγραφή"),
    "en": ("Preferences", "Unsubscribe"),
    "es": ("Preferencias", "Darse de baja"),
    "fa": ("تنظیمات", "لغو اشتراک"),
    "fi": ("Asetukset", "Peru tilaus"),
    "fr": ("Préférences", "Se désabonner"),
    "he": ("העדפות", "הסרה מרשימת התפוצה"),
    "hu": ("Beállítások", "Leiratkozás"),
    "it": ("Preferenze", "Annulla l’iscrizione"),
    "ja": ("配信設定", "配信停止"),
    "ko": ("수신 설정", "수신 거부"),
    "nl": ("Voorkeuren", "Afmelden"),
    "no": ("Innstillinger", "Meld deg av"),
    "pl": ("Preferencje", "Wypisz się"),
    "pt": ("Preferências", "Cancelar inscrição"),
    "ro": ("Preferințe", "Dezabonare"),
    "ru": ("Настройки", "Отписаться"),
    "sv": ("Inställningar", "Avsluta prenumerationen"),
    "tr": ("Tercihler", "Abonelikten çık"),
    "uk": ("Налаштування", "Відписатися"),
    "zh": ("偏好设置", "退订"),
}


_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}")


def _named() -> dict[str, str]:
    found: dict[str, str] = {}
    for code, about in LANG_INFO.items():
        if "name" in about:
            found.setdefault(about["name"].lower(), code)
            found.setdefault(about["name_local"].lower(), code)
    return found


_NAMED = _named()


@lru_cache(maxsize=4096)
def tag_of(words: str) -> str:
    """`de-at` of “de_AT”, `de` of “German” or “Deutsch”; empty for what is no language."""
    tag = words.strip().lower().replace("_", "-")
    if tag in _NAMED:
        return _NAMED[tag]
    return tag if _TAG.fullmatch(tag) else ""


@lru_cache(maxsize=4096)
def chain(words: str) -> tuple[str, ...]:
    """What serves somebody who reads that, the best first: pt-br, pt. Chinese by its script: zh-tw, zh-hant, zh."""
    return tuple(dict.fromkeys(_steps(tag_of(words))))


def _steps(tag: str) -> Iterator[str]:
    while tag:
        yield tag
        yield from LANG_INFO.get(tag, {}).get("fallback", ())
        tag = tag.rpartition("-")[0]


def chosen(written: Collection[str], *wishes: str) -> str:
    """The first of the wishes that something is written in, by its chain, else in a kin of it (pt-br for pt); empty where none is."""
    for wish in wishes:
        steps = chain(wish)
        if found := next((step for step in steps if step in written), ""):
            return found
        if kin := sorted(one for one in written if steps and one.partition("-")[0] == steps[-1]):
            return kin[0]
    return ""


def name_of(language: str) -> str:
    """As its readers call it, else the tag."""
    about = LANG_INFO.get(language) or LANG_INFO.get(language.partition("-")[0]) or {}
    return str(about.get("name_local", language)) if language else ""


def is_right_to_left(language: str) -> bool:
    return language in RIGHT_TO_LEFT or language.partition("-")[0] in RIGHT_TO_LEFT


def choices() -> list[tuple[str, str]]:
    """Languages that a mail may be written in, by their English names."""
    rows = [(code, f"{about['name']} ({code})") for code, about in LANG_INFO.items() if "name" in about]
    return sorted(rows, key=lambda row: row[1])


def ways_out(language: str) -> tuple[str, str]:
    """(preferences, unsubscribe) in that language, else in English."""
    return _WAYS_OUT.get(language.partition("-")[0]) or _WAYS_OUT["en"]
