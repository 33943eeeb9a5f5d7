"""HTML by small functions."""

from ops.markup import Markup, join, table, tag


def test_plain_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b & c", tag("b", "d")) == "<p>a &lt; b &amp; c<b>d</b></p>"
    assert join(("<", Markup("<br>"), ">"), "&") == "&lt;&amp;<br>&amp;&gt;"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    assert tag("p", class_="x", aria_label='"<') == '<p class="x" aria-label="&quot;&lt;"></p>'


def test_a_table_names_its_rows_and_sets_numbers_right() -> None:
    drawn = table(("what", "n"), [("<a>", "1")], caption="c", numeric=(1,))
    assert '<tr><th scope="row">&lt;a&gt;</th><td class="number">1</td></tr>' in drawn
    assert '<th scope="col">what</th><th scope="col" class="number">n</th>' in drawn
