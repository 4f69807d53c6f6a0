"""A citation holds, and whatever is changed in it is found."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from aggregator import catalogue, citing
from aggregator.errors import DialectError
from aggregator.model import Article, Tags
from aggregator.normalize import with_text
from aggregator.tag import Tagger

NOW = datetime(2024, 2, 1, 12, tzinfo=UTC)
CATALOGUE = catalogue.load()
TAGGER = Tagger(CATALOGUE)
HTML = (
    "<p>中美两国11月15日发表关于加强合作应对气候危机的阳光之乡声明。</p>\n"
    "<p>声明说，双方将落实各自的国家甲烷行动计划，并视情采取进一步的控制措施。</p>\n"
)


def tag(article: Article) -> Tags:
    """The tagger of the catalogue that came along."""
    return TAGGER.tags(article.title, article.text, article.published)


@pytest.fixture
def cited(tmp_path: Path) -> Path:
    """A folder as `cite` writes it."""
    published = datetime(2023, 11, 15, 3, tzinfo=UTC)
    article = with_text(
        Article("中美阳光之乡声明谈甲烷", HTML, "", "morning", "晨报", url="https://o.example/1", published=published)
    )
    tags = tag(article)
    assert "sunnylands-2023/10" in {one.clause for one in tags.clauses}
    citing.write(tmp_path / "cited", article, tags, {"story": 3, "reprint_of": None}, NOW)
    return tmp_path / "cited"


def findings(folder: Path) -> list[str]:
    """What is wrong."""
    return list(citing.verify(folder, tag, CATALOGUE.version))


def test_a_citation_holds(cited: Path) -> None:
    """Nothing is found in it; anybody's sha256sum agrees."""
    assert findings(cited) == []
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=cited, check=True, capture_output=True)
    facts = json.loads((cited / "article.json").read_text())
    assert facts["text_from_html"]
    assert facts["file_holds_html"]
    assert "晨报" in (cited / "README.txt").read_text()


@pytest.mark.parametrize(
    "name", ["README.txt", "article.html", "article.txt", "article.json", "evidence.json", "article.md"]
)
def test_every_changed_byte_is_found(cited: Path, name: str) -> None:
    """A byte more in any file, a file less, or one that nobody wrote."""
    data = (cited / name).read_bytes()
    (cited / name).write_bytes(data + b" ")
    assert any(name in finding and "changed" in finding for finding in findings(cited))
    (cited / name).unlink()
    assert any(name in finding and "missing" in finding for finding in findings(cited))
    (cited / name).write_bytes(data)
    (cited / "more.txt").write_text("x")
    assert findings(cited) == [f"{cited}/more.txt stands in no checksum"]


def forge(folder: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a file and its checksum, as a forger would."""
    file, sums = folder / name, folder / "SHA256SUMS"
    old = sha256(file.read_bytes()).hexdigest()
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    sums.write_text(sums.read_text().replace(old, sha256(file.read_bytes()).hexdigest()))


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("article.txt", "甲烷", "氢气", "is not the text"),
        ("article.html", "甲烷", "氢气", "is not the text"),
        ("article.md", "甲烷", "氢气", "does not hold the HTML"),
        ("evidence.json", "甲烷行动", "甲烷行动和", "does not stand at"),
        ("evidence.json", "sunnylands-2023/10", "sunnylands-2023/9", "other findings"),
        ("article.json", '"content_key": "', '"content_key": "0', "content key"),
        ("article.json", "{", "[", "cannot be read"),
    ],
)
def test_forged_checksums_do_not_help(cited: Path, name: str, before: str, after: str, said: str) -> None:
    """Text, quotes and tags are derived anew, so that a changed file with a changed checksum is found too."""
    forge(cited, name, lambda text: text.replace(before, after))
    assert any(said in finding for finding in findings(cited))


def test_another_catalogue_is_named(cited: Path) -> None:
    """Where the agreements' file has changed since, the finding says so."""
    (finding,) = citing.verify(cited, lambda _article: Tags(), "0123456789ab")
    assert f"{CATALOGUE.version} is now 0123456789ab" in finding


def test_a_folder_that_is_no_citation(tmp_path: Path) -> None:
    """It is said in a sentence."""
    with pytest.raises(DialectError, match="no citation"):
        findings(tmp_path)


def test_on_the_command_line(command, newsroom, tmp_path: Path) -> None:
    """An article of a poll is cited and verified; a second cite does not overwrite; a changed folder ends with 1."""
    feeds = newsroom.feeds_yaml(tmp_path)
    assert command("poll", feeds=feeds).returncode == 0
    folder = str(tmp_path / "out")
    assert command("cite", "1", "--out", folder, feeds=feeds).returncode == 0
    again = command("cite", "1", "--out", folder, feeds=feeds)
    assert (again.returncode, "not empty" in again.stderr) == (2, True)
    done = command("cite", "--verify", folder, feeds=feeds)
    assert (done.returncode, done.stdout) == (0, "1 verified: checksums, text, quotes and tags hold\n")
    Path(folder, "article.txt").write_text("x")
    changed = command("cite", "--verify", folder, feeds=feeds)
    assert changed.returncode == 1
    assert "Traceback" not in changed.stderr
    assert command("cite", "99", feeds=feeds).returncode == 2
    assert command("cite", feeds=feeds).returncode == 2
