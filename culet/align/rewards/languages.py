"""Which language a text is in, as far as letters and the commonest words tell.

No language is named: the question is only whether a text can be in one that is wanted. Most letters must be of its
script. Where languages share a script, the commonest words of each are counted, and the wanted one must have at least
as many as every other listed here. What stays undecided counts as right: a text without any of those words. A text in
a language that is not listed (Dutch, say) may pass for one that is.
"""

# ruff: noqa: RUF001 -- Cyrillic words are meant to be Cyrillic

import re
import unicodedata
from collections import Counter

# The script of a letter is the first word of its name in Unicode.
_SCRIPTS = {
    "ar": ("ARABIC",), "bg": ("CYRILLIC",), "bn": ("BENGALI",), "de": ("LATIN",), "en": ("LATIN",), "es": ("LATIN",),
    "fa": ("ARABIC",), "fi": ("LATIN",), "fr": ("LATIN",), "gu": ("GUJARATI",), "hi": ("DEVANAGARI",), "it": ("LATIN",),
    "ja": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK"), "kn": ("KANNADA",), "ko": ("HANGUL",),
    "mr": ("DEVANAGARI",), "ne": ("DEVANAGARI",), "pa": ("GURMUKHI",), "pt": ("LATIN",), "ru": ("CYRILLIC",),
    "sw": ("LATIN",), "ta": ("TAMIL",), "te": ("TELUGU",), "th": ("THAI",), "ur": ("ARABIC",), "vi": ("LATIN",),
    "zh": ("CJK",),
}  # fmt: skip
LANGUAGES = tuple(_SCRIPTS)
_WORDS = {
    code: frozenset(words.split())
    for code, words in {
        "de": "der die das und ist nicht ein eine zu den von mit sich auf für dem es ich sie wir auch als wie im",
        "en": "the and of to is that it for was with as on are this you be not have from at by or they we his her",
        "es": "el los las y en que es un una por con para su del se lo como más pero sus al muy hay está",
        "fi": "ja on ei että se hän oli mutta ovat kun niin myös joka tai hänen minä olla sen kuin voi vain",
        "fr": "le les et est des une du que pour dans qui sur pas plus par ce il elle nous vous je avec au",
        "it": "il di che è un per non sono con una si da gli del della le anche come più ma nel alla ho",
        "pt": "o os as e em que não um uma para com por do da se mais dos das como mas ao ele você é são",
        "sw": "na ya wa kwa ni za la katika hii kama cha yake kuwa si hiyo watu au lakini sana hilo vya pia",
        "vi": "và của là không có được cho một những với trong người này các để đã khi tôi bạn nhưng rất",
        "bg": "и на да се за от не са като по това но със към този тази които може също беше ще е с в",
        "ru": "и в не на что я он с как это по но его она из за так все мы вы для был есть от а",
        "ar": "في من على إلى أن هذا هذه التي الذي عن كان لا ما مع هو هي كل أو بعد قد",
        "fa": "و در به از که این را با است برای آن یک می های هم خود شما ما تا بر شود کند",
        "ur": "کے کی ہے میں اور سے کا کو نے ہیں پر یہ کہ کر ایک بھی نہیں تھا گیا لیے ہو آپ",
        "hi": "है के में की और को से का हैं यह पर ने एक भी नहीं कि हो था लिए इस कर",
        "mr": "आहे आणि च्या या मध्ये आहेत हे ते तर की करण्यासाठी नाही एक होते मी त्या असे किंवा आपण",
        "ne": "छ र को मा छन् यो गर्न हो भएको लागि पनि एक का हुन्छ गरेको तपाईं थियो गर्छ छैन म",
    }.items()
}
_BETWEEN_WORDS = re.compile(r"[^\w\u0300-\u036f\u0900-\u0963]+")  # accents and Devanagari's signs are in them


def can_be(text: str, language: str) -> bool:
    """Whether a text can be in a language, by its code (ISO 639-1); a text without letters cannot.

    Raises ValueError for a code that is not in `LANGUAGES`.
    """
    if language not in _SCRIPTS:
        raise ValueError(f"language {language!r} is not known; those that are: {', '.join(LANGUAGES)}")
    scripts = Counter(_script(letter) for letter in text if letter.isalpha())
    if 2 * sum(scripts[name] for name in _SCRIPTS[language]) <= scripts.total():
        return False
    if language == "zh" and any(scripts[name] for name in ("HIRAGANA", "KATAKANA")):
        return False
    if language not in _WORDS:
        return True
    words = _BETWEEN_WORDS.split(unicodedata.normalize("NFC", text).lower())
    counts = {code: sum(word in common for word in words) for code, common in _WORDS.items()}
    rivals = (counts[code] for code in counts if _SCRIPTS[code] == _SCRIPTS[language])
    return counts[language] == max(rivals)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]
