import pytest

from culet.align.rewards.languages import LANGUAGES, can_be

# ruff: noqa: RUF001 -- Cyrillic words are meant to be Cyrillic
SAID = {
    "ar": "هذا الكتاب هو الذي كان على الطاولة في البيت.",
    "bg": "Тази книга е на масата и не може да се чете от децата.",
    "de": "Das Buch liegt auf dem Tisch und die Katze schläft nicht.",
    "en": "The book is on the table and the cat does not sleep.",
    "es": "El libro está en la mesa y los gatos no duermen con las luces.",
    "fa": "این کتاب را برای شما آورده ام و آن هم خوب است.",
    "fi": "Kirja on pöydällä, mutta kissa ei nuku, kun se on nälkäinen.",
    "fr": "Le livre est sur la table et les chats ne dorment pas dans le jardin.",
    "hi": "किताब मेज़ पर है और बिल्ली घर में नहीं सोती है।",
    "it": "Il libro è sul tavolo e il gatto non dorme, ma è nel giardino.",
    "ko": "책은 책상 위에 있고 고양이는 자지 않는다.",
    "mr": "पुस्तक टेबलावर आहे आणि मांजर झोपत नाही.",
    "ne": "किताब टेबलमा छ र बिरालो सुतेको छैन।",
    "pt": "O livro não está na mesa, mas os gatos são do vizinho e você viu uma.",
    "ru": "Книга на столе, и кот не спит, как это было вчера.",
    "sw": "Kitabu hiki ni cha watu wa mji huu na kiko katika meza ya baba.",
    "th": "หนังสืออยู่บนโต๊ะ",
    "ur": "یہ کتاب میز پر ہے اور بلی گھر میں نہیں ہے۔",
    "vi": "Quyển sách này là của tôi và con mèo không có ở trong nhà.",
}


@pytest.mark.parametrize("wanted", SAID)
def test_a_text_is_in_its_language_and_in_no_other_of_these(wanted):
    assert {code for code in SAID if can_be(SAID[wanted], code)} == {wanted}


def test_scripts_alone_decide_where_a_script_has_one_language():
    assert can_be("これは本です", "ja") and not can_be("これは本です", "zh") and can_be("这是书", "zh")
    assert not can_be("12 + 13 = 25!", "en") and not can_be("", "en")
    assert can_be("Hallo Welt", "en")  # undecided: none of the words


def test_an_unknown_code_is_a_clear_error():
    assert len(LANGUAGES) > 25
    with pytest.raises(ValueError, match="language 'xx' is not known; those that are: ar, bg"):
        can_be("a", "xx")
