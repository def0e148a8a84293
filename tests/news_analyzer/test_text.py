"""Pages become paragraphs, words, measures, keywords and a summary."""

import pytest

from workers.news_analyzer.article import Language
from workers.news_analyzer.keywords import find_keywords
from workers.news_analyzer.language import UNKNOWN, detect_language
from workers.news_analyzer.main_text import extract_html, extract_plain
from workers.news_analyzer.measure import (
    count_syllables,
    estimate_reading_seconds,
    rate_readability,
)
from workers.news_analyzer.rank import rank_nodes
from workers.news_analyzer.summary import summarise
from workers.news_analyzer.terms import find_terms, load_stop_words
from workers.news_analyzer.words import find_words, split_sentences

PAGE = """<!DOCTYPE html><html><head><title>Bridge reopens - The Daily</title>
<meta property="og:title" content="Bridge reopens">
<meta property="og:site_name" content="The Daily">
<meta name="author" content="Jane Doe">
<meta property="article:published_time" content="2025-03-04T10:00:00Z"></head><body>
<nav><a href="/">Home</a> <a href="/sport">Sport</a></nav>
<article><h1>Bridge reopens</h1>
<p>The old bridge reopened on Monday after two years of repairs.</p>
<p>Thousands of people crossed it on the first day, the city said.</p></article>
<footer>All rights reserved. Cookie settings</footer><script>alert("x")</script></body></html>"""


def test_article_is_found_in_its_page() -> None:
    main = extract_html(PAGE, "https://daily.example/bridge")
    text = " ".join(main.paragraphs)
    assert "after two years of repairs." in text
    assert "Cookie" not in text
    assert "alert" not in text
    assert main.title == "Bridge reopens"
    assert main.author == "Jane Doe"
    assert main.site_name == "The Daily"
    assert main.published_date == "2025-03-04"


def test_fragment_of_html_is_enough() -> None:
    assert extract_html("<p>Only this.</p>").paragraphs == ["Only this."]


@pytest.mark.parametrize("html", ["", " ", "<html></html>", "<body><script>a()</script></body>"])
def test_page_without_an_article_has_no_paragraphs(html: str) -> None:
    assert extract_html(html).paragraphs == []


def test_blank_lines_part_paragraphs_and_line_ends_do_not() -> None:
    main = extract_plain("One line\r\nand the next.\r\n \r\nAnother\tparagraph.")
    assert main.paragraphs == ["One line and the next.", "Another paragraph."]
    assert main.title is None


def test_without_blank_lines_sentences_at_line_ends_part_paragraphs() -> None:
    assert extract_plain("One line\nand more.\nAnother.").paragraphs == [
        "One line and more.",
        "Another.",
    ]


def test_short_first_line_without_full_stop_is_the_title() -> None:
    main = extract_plain("# A title\n\nAnd a text.")
    assert (main.title, main.paragraphs) == ("A title", ["And a text."])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop: twenty-one, 3.5 or U.S. «plans»", "Don't|stop|twenty-one|3.5|or|U.S|plans"),
        ("新聞 を読む", "新|聞|を|読|む"),
        ("शिक्षा नीति", "शिक्षा|नीति"),
        ("e\u0301te\u0301", "e\u0301te\u0301"),
        ("news新闻", "news|新|闻"),
        ("-- … !", ""),
    ],
)
def test_words_are_found_in_any_script(text: str, words: str) -> None:
    assert [text[start:end] for start, end in find_words(text)] == [
        word for word in words.split("|") if word
    ]


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("en", "Dr. Smith arrived at 5 p.m. on Monday. He left.", 2),
        ("de", "Am 3. Mai kam Dr. Braun. Er ging z. B. sofort.", 2),
        ("zh", "今天下雨。明天很好\uff01", 2),
        ("hi", "यह पहला है। यह दूसरा है।", 2),
        ("und", "One. Two.", 2),
        ("en", "no end at all", 1),
        ("en", "... !!! ???", 0),
    ],
)
def test_sentences_are_split_by_language(language: str, text: str, count: int) -> None:
    assert len(split_sentences(text, language)) == count


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The government announced a new plan for the railways today.", "en"),
        ("Die Regierung hat heute einen neuen Plan für die Bahn vorgestellt.", "de"),
        ("Le gouvernement a présenté aujourd'hui un nouveau plan pour le rail.", "fr"),
        ("Правительство представило сегодня новый план для железных дорог.", "ru"),
        ("政府今天宣布了新的铁路计划。", "zh"),
        ("政府は今日、鉄道の新しい計画を発表した。", "ja"),
        ("أعلنت الحكومة اليوم خطة جديدة للسكك الحديدية.", "ar"),
    ],
)
def test_language_is_detected(text: str, code: str) -> None:
    language = detect_language(text)
    assert language.code == code
    assert 0.5 < language.confidence <= 1


@pytest.mark.parametrize("text", ["", "12 345,67", "https://example.com/news", "😀 !!"])
def test_language_without_words_is_unknown(text: str) -> None:
    assert detect_language(text) == UNKNOWN == Language("und", 0.0)


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        *[("the", 1), ("make", 1), ("makes", 1), ("jumped", 1), ("hmm", 1)],
        *[("table", 2), ("wanted", 2), ("houses", 2), ("government", 3), ("readability", 5)],
    ],
)
def test_syllables_are_counted(word: str, syllables: int) -> None:
    assert count_syllables(word) == syllables


def test_readability_follows_the_published_formulas() -> None:
    # 6 words, 1 sentence, 6 syllables: Flesch's easiest text.
    words = ["The", "cat", "sat", "on", "the", "mat"]
    ease, grade, lix = rate_readability(words, 1, "en")
    assert (ease.formula, ease.value, ease.level) == ("flesch_reading_ease", 116.1, "very easy")
    assert (grade.formula, grade.value) == ("flesch_kincaid_grade", -1.4)
    assert (lix.formula, lix.value, lix.level) == ("lix", 6.0, "very easy")


def test_readability_of_other_languages_is_lix() -> None:
    scores = rate_readability(["Regierung", "plant", "Bahnhof"], 1, "de")
    assert [(score.formula, score.value) for score in scores] == [("lix", 69.7)]


@pytest.mark.parametrize("words", [[], ["12"], list("今天下雨")])
def test_readability_is_left_out_where_no_formula_fits(words: list[str]) -> None:
    assert rate_readability(words, 1, "zh") == []


def test_reading_time_counts_words_and_characters() -> None:
    assert estimate_reading_seconds(["word"] * 238, "en") == 60
    assert estimate_reading_seconds(["字"] * 255, "zh") == 60
    assert estimate_reading_seconds(["字"] * 357, "ja") == 60
    assert estimate_reading_seconds(["one"], "en") == 1


def test_middle_of_a_star_ranks_highest() -> None:
    ranks = rank_nodes([{1: 1.0, 2: 1.0, 3: 1.0}, {0: 1.0}, {0: 1.0}, {0: 1.0}, {}])
    assert max(ranks) == ranks[0]
    assert min(ranks) == ranks[4] > 0
    assert sum(ranks) == pytest.approx(1)


def test_preferred_node_ranks_higher_than_its_equals() -> None:
    first, second = rank_nodes([{1: 1.0}, {0: 1.0}], [2.0, 1.0])
    assert first > second


def keywords(sentences: list[str], language: str = "en", limit: int = 5) -> list[str]:
    stop_words = load_stop_words(language)
    terms = [find_terms(sentence, stop_words) for sentence in sentences]
    return [keyword.text for keyword in find_keywords(sentences, terms, limit)]


def test_repeated_phrase_is_a_keyword_and_its_parts_are_not() -> None:
    found = keywords(
        [
            "The flood barrier protects the harbour.",
            "A flood barrier costs millions.",
            "Nobody wants to pay for the flood barrier.",
        ]
    )
    assert found[0] == "flood barrier"
    assert "flood" not in found
    assert "barrier" not in found


def test_stop_words_and_numbers_are_no_keywords() -> None:
    assert keywords(["It is what it was in 2024 and 2025."]) == []


def test_stop_word_with_a_capital_is_a_name() -> None:
    assert "Microsoft" in keywords(["Shares of Microsoft rose."])


@pytest.mark.parametrize(
    ("language", "sentence", "key"),
    [
        ("en", "The government's idea", "government"),
        ("en", "The government\u2019s idea", "government"),
        ("fr", "Dans l'économie", "économie"),
    ],
)
def test_apostrophes_are_taken_off(language: str, sentence: str, key: str) -> None:
    assert key in {term.key for term in find_terms(sentence, load_stop_words(language))}


def test_chinese_phrases_are_joined_from_pairs() -> None:
    found = keywords(["气候变化政策将减少碳排放。", "新的气候变化政策"], "zh")
    assert found[0] == "气候变化政策"


def summary(sentences: list[str], limit: int) -> list[int]:
    terms = [find_terms(sentence, frozenset()) for sentence in sentences]
    return [sentence.position for sentence in summarise(sentences, terms, limit)]


def test_summary_keeps_the_order_of_the_text_and_says_nothing_twice() -> None:
    sentences = [
        "The bridge across the river reopened after long repairs.",
        "The bridge across the river reopened after long repairs.",
        "Lunch was served.",
        "Repairs of the bridge had cost the city eight millions.",
    ]
    assert summary(sentences, 2) == [0, 3]
    assert summary(sentences, 0) == []
    assert summary([], 3) == []


def test_first_sentence_wins_among_equals() -> None:
    assert summary(["alpha beta", "gamma delta", "epsilon zeta"], 1) == [0]


def test_long_sentence_is_cut() -> None:
    sentence = "word " * 1000
    [only] = summarise([sentence], [find_terms(sentence, frozenset())], 1)
    assert len(only.text) <= 600
    assert only.text.endswith("…")
