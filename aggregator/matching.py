"""Whether one article is what a query or a subscriber asks for: the same answer as search, without the index.

Search's contract is that a needle finds the articles whose folded text holds it (`terms.document`), so looking is
enough, and a digest need not ask the whole archive about the few articles of its period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from aggregator import terms
from aggregator.query import And, Field, Node, Not, Or, Since, Text, Until


@dataclass
class Candidate:
    """What can be asked of one article. `discussed` are its clauses; folded texts are made when first looked at."""

    title: str
    text: str
    outlet: str
    feed: str
    lang: str | None
    when: datetime
    agreements: frozenset[str] = frozenset()
    discussed: frozenset[str] = frozenset()
    story: int | None = None
    _folded: dict[bool, str] = field(default_factory=dict)

    def folded(self, *, title: bool) -> str:
        """The title alone, or title and text, as search compares them."""
        if title not in self._folded:
            self._folded[title] = terms.folded(self.title) if title else terms.document(self.title, self.text)
        return self._folded[title]


def matches(node: Node, one: Candidate, outlets: frozenset[str]) -> bool:
    """Whether a query finds an article; `outlets` are the folded names of all outlets there are."""
    match node:
        case And(parts):
            return all(matches(part, one, outlets) for part in parts)
        case Or(parts):
            return any(matches(part, one, outlets) for part in parts)
        case Not(part):
            return not matches(part, one, outlets)
        case Text(needle, title):
            return terms.folded(needle) in one.folded(title=title)
        case Field(name, value):
            return _property(name, value, one, outlets)
        case Since(instant) | Until(instant):
            return (one.when >= instant) == isinstance(node, Since)


def _property(name: str, value: str, one: Candidate, outlets: frozenset[str]) -> bool:
    if name == "outlet":
        wanted, own = terms.folded(value), terms.folded(one.outlet)
        return own == wanted if wanted in outlets else wanted in own
    if name == "lang":
        return one.lang == value or (one.lang or "").startswith(f"{value}-")
    plain = {
        "feed": value == one.feed,
        "story": value == str(one.story),
        "agreement": value in one.agreements,
        "clause": value in one.discussed,
    }
    return plain[name]
