"""What a reprint changed of its original, in sentences for people."""

from __future__ import annotations

from aggregator.dedup.reprint import Change, changes
from aggregator.model import Article, Tags

_WORDS = {Change.CUT: "cut", Change.ADDED: "added", Change.REWORDED: "reworded"}
_LONGEST = 60


def alterations(original: Article, reprint: Article, tags: Tags | None) -> list[str]:
    """A line that counts the sentences cut, added and reworded, then one for each; those that carried a clause's
    evidence in the original (`tags` are the original's) say so.
    """
    evidence = (
        [(one.start, one.end) for tag in tags.clauses for one in tag.evidence if one.field == "text"] if tags else []
    )
    found = changes(original.text, reprint.text, evidence)
    counts = {kind: sum(one.change is kind for one in found) for kind in Change}
    said = ", ".join(f"{count} {_WORDS[kind]}" for kind, count in counts.items() if count)
    lines = [f"reprint of {original.id}: {said or 'every sentence as in the original'}"]
    for one in found:
        start, end = one.original or one.reprint or (0, 0)
        source = original.text if one.original else reprint.text
        quote = source[start:end]
        short = quote if len(quote) <= _LONGEST else f"{quote[:_LONGEST]}…"
        lines.append(f"  {_WORDS[one.change]}{' (carried evidence)' if one.evidence else ''}: {short}")
    return lines
