"""Tables of the report: what is set where, and that no value breaks the page."""

from __future__ import annotations

from trainer.report.html import LONGEST_WORD, decision, table


def test_columns_of_words_stand_left_with_their_heads() -> None:
    """A head stands over its column; numbers to the right, three digits, unknown as a dash."""
    made = table(("name", "hours", "why"), [("a", 1, "good"), ("b", None, "bad")])
    assert '<th scope="col" class="words">name</th><th scope="col">hours</th>' in made
    assert '<th scope="col" class="words">why</th>' in made
    assert '<td class="words">good</td>' in made
    assert "<td>–</td>" in made
    assert "<td>1.235</td>" in table(("x",), [(1.23456,)])


def test_a_table_without_heads_has_no_such_row() -> None:
    """An empty grey strip says nothing."""
    assert "<thead>" not in table(("", ""), [("key", "value")])


def test_long_words_may_be_broken() -> None:
    """A digest would push the page wider than a phone; words of usual length stay whole."""
    assert 'class="words long"' in table(("x",), [("a " + "b" * (LONGEST_WORD + 1),)])
    assert "long" not in table(("x",), [("a b " * LONGEST_WORD,)])


def test_figures_of_a_decision_are_told_as_they_are() -> None:
    """A difference of a millionth is not 0.000, and yes is not True."""
    made = decision("stable", {"passed": False, "terms": {"parity": 3.5e-6, "same": True}})
    assert '<td class="words">3.5e-06</td>' in made
    assert '<td class="words">yes</td>' in made
