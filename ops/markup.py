"""HTML by small functions: what is not markup already is escaped, so that forgetting it is impossible."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Markup", "figure", "join", "table", "tag"]


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def join(parts: Iterable[str], separator: str = "") -> Markup:
    """Parts one after the other; plain text among them is escaped."""
    return Markup(_html(separator).join(map(_html, parts)))


def tag(name: str, /, *content: str, **attributes: str) -> Markup:
    """An element.

    Parameters
    ----------
    *content : str or Markup
        Escaped unless it is markup.
    **attributes : str
        Underscores become hyphens, and a last one goes: ``class_``, ``aria_label``.
    """
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numeric: Iterable[int] = ()
) -> Markup:
    """A table whose first column names the row; `numeric` columns are set flush right."""
    right = frozenset(numeric)

    def cell(kind: str, column: int, content: str, **attributes: str) -> Markup:
        return tag(kind, content, **attributes, **({"class_": "number"} if column in right else {}))

    body = [
        tag(
            "tr",
            *(
                cell("td", column, content) if column else tag("th", content, scope="row")
                for column, content in enumerate(row)
            ),
        )
        for row in rows
    ]
    heads = (cell("th", column, content, scope="col") for column, content in enumerate(head))
    drawn = tag("table", tag("caption", caption), tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", drawn, class_="scroll")


def figure(title: str, drawing: str, note: str = "", *, wide: bool = False) -> Markup:
    """A drawing under a title that says what one sees, with a note on how to read it."""
    words = [tag("strong", title), *([tag("span", note)] if note else [])]
    return tag(
        "figure",
        tag("figcaption", *words),
        tag("div", drawing, class_="scroll"),
        class_="wide" if wide else "half",
    )


def _html(content: str) -> str:
    return content if isinstance(content, Markup) else escape(content)
