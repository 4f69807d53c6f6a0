"""`show`: one article with its clauses, its revisions, and what a reprint changed."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_reprint_says_what_it_changed(newsroom, tmp_path: Path, command) -> None:
    """Cut, added and reworded sentences are counted and quoted, and the one that carried a clause says so."""
    body = newsroom.articles["h-1"][3]
    body[2] = "港城日報補充：本地專家認為，這一步來得及時，也來得不易。"
    feeds = newsroom.feeds_yaml(tmp_path)
    assert command("poll", feeds=feeds).returncode == 0
    rows = [
        json.loads(line)
        for line in command("export", "--format", "jsonl", "--out", "-", feeds=feeds).stdout.splitlines()
    ]
    [copy] = [row for row in rows if row["reprint_of"]]
    assert copy["outlet"] == "港城日报"
    shown = command("show", str(copy["id"]), feeds=feeds).stdout
    assert f"reprint of {copy['reprint_of']}: " in shown
    assert "(carried evidence)" in shown
    assert "港城日報補充" in shown
    whole = json.loads(command("show", str(copy["id"]), "--format", "json", feeds=feeds).stdout)
    assert any("added" in line or "reworded" in line for line in whole["alterations"])


def test_revisions_are_shown_oldest_first(newsroom, tmp_path: Path, command) -> None:
    """Every text that stood there can be read, the newest last."""
    feeds = newsroom.feeds_yaml(tmp_path)
    command("poll", feeds=feeds)
    newsroom.edit("m-2", "港城地铁公司更正：环线还有一段轨道没有铺通。")
    command("poll", feeds=feeds)
    [row] = [
        json.loads(line) for line in command("search", "更正", "--format", "jsonl", feeds=feeds).stdout.splitlines()
    ]
    shown = command("show", str(row["id"]), "--revisions", feeds=feeds).stdout
    assert shown.index("最后一段轨道已经铺通") < shown.index("公司更正")


def test_an_unknown_article_is_named(newsroom, tmp_path: Path, command) -> None:
    """One sentence and exit status 2."""
    feeds = newsroom.feeds_yaml(tmp_path)
    command("poll", feeds=feeds)
    done = command("show", "999", feeds=feeds)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no article 999" in done.stderr
