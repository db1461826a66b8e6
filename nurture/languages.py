"""The languages that mails are written in: which way they run, and the few words that every mail needs."""

from __future__ import annotations

from django.conf.locale import LANG_INFO

RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ku-arab", "ps", "sd", "ug", "ur", "yi"})

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


def is_right_to_left(language: str) -> bool:
    return language in RIGHT_TO_LEFT or language.partition("-")[0] in RIGHT_TO_LEFT


def choices() -> list[tuple[str, str]]:
    """Languages that a mail may be written in, by their English names."""
    rows = [(code, f"{about['name']} ({code})") for code, about in LANG_INFO.items() if "name" in about]
    return sorted(rows, key=lambda row: row[1])


def ways_out(language: str) -> tuple[str, str]:
    """(preferences, unsubscribe) in that language, else in English."""
    return _WAYS_OUT.get(language.partition("-")[0]) or _WAYS_OUT["en"]
