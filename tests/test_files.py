"""Files and directories as values: what is listed, what is read, and what never is."""

from __future__ import annotations

import os
import pathlib
import stat
import string
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang import files, limits
from rlmlang.errors import Failure, LimitError, UsageError
from rlmlang.files import DirValue, FileValue
from rlmlang.glob import Pattern


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    for name in (
        "a.py",
        "b.md",
        "src/c.py",
        "src/deep/d.py",
        "src/deep/e.txt",
        ".env",
        ".git/config.py",
        "src/.hidden/f.py",
        "zeta/[x].py",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    return root


def paths(root: Path, glob: str) -> list[str]:
    return [file.path for file in DirValue(root).files(glob)]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("**/*.py", ["a.py", "src/c.py", "src/deep/d.py", "zeta/[x].py"]),
        ("**/*", ["a.py", "b.md", "src/c.py", "src/deep/d.py", "src/deep/e.txt", "zeta/[x].py"]),
        ("**", ["a.py", "b.md", "src/c.py", "src/deep/d.py", "src/deep/e.txt", "zeta/[x].py"]),
        ("*.py", ["a.py"]),
        ("a.py", ["a.py"]),
        ("./a.py", ["a.py"]),
        ("c.py", []),
        ("*", ["a.py", "b.md"]),
        ("*/*.py", ["src/c.py", "zeta/[x].py"]),
        ("src/**/*.py", ["src/c.py", "src/deep/d.py"]),
        ("**/deep/*", ["src/deep/d.py", "src/deep/e.txt"]),
        ("**/src/**/d.py", ["src/deep/d.py"]),
        ("**/**/d.py", ["src/deep/d.py"]),
        ("?.md", ["b.md"]),
        ("[ab].*", ["a.py", "b.md"]),
        ("[!a].*", ["b.md"]),
        ("zeta/[[]x].py", ["zeta/[x].py"]),
        ("{a.py,src/c.py}", ["a.py", "src/c.py"]),
        ("**/*.{md,txt}", ["b.md", "src/deep/e.txt"]),
        ("src/{c,{deep/d,deep/e}}.{py,txt}", ["src/c.py", "src/deep/d.py", "src/deep/e.txt"]),
        (".env", [".env"]),
        (".*", [".env"]),
        (".git/*", [".git/config.py"]),
        ("**/.hidden/*", ["src/.hidden/f.py"]),
        ("{a}.py", []),
        ("{a.py", []),
    ],
)
def test_glob(tree: Path, glob: str, expected: list[str]) -> None:
    assert paths(tree, glob) == expected


@pytest.mark.parametrize("glob", ["", ".", "/etc/*", "../*", "src/../../*", "a//", "{..,a}/x", "x" * 2_000, "{a,b}" * 12])
def test_a_pattern_that_cannot_be_is_a_failure(tree: Path, glob: str) -> None:
    with pytest.raises(Failure):
        DirValue(tree).files(glob)


NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: not name.startswith("."))
SEGMENTS = st.one_of(st.just("**"), st.text("ab*?.", min_size=1, max_size=3).filter(lambda s: s[0] != "." and s.strip("*") != ""))


@given(st.lists(SEGMENTS, min_size=1, max_size=4).filter(lambda s: s[-1] != "**"), st.lists(NAMES, min_size=1, max_size=4))
def test_globs_agree_with_a_plain_definition(pattern: list[str], names: list[str]) -> None:
    def matches(segments: list[str], rest: list[str]) -> bool:
        if not segments or not rest:
            return not segments and not rest
        if segments[0] == "**":
            return matches(segments[1:], rest) or matches(segments, rest[1:])
        return pathlib.PurePosixPath(rest[0]).match(segments[0]) and matches(segments[1:], rest[1:])

    parsed = Pattern.parse("/".join(pattern))
    state = parsed.start
    for folder in names[:-1]:
        state = parsed.enter(state, folder)
    assert parsed.accepts(state, names[-1]) == matches(pattern, names)


def test_a_hostile_pattern_is_linear(tmp_path: Path) -> None:
    (tmp_path / ("a" * 250)).write_text("")
    assert paths(tmp_path, "*a" * 120 + "*b") == []
    assert paths(tmp_path, "/".join(["**", "*"] * 100)) == []


@given(st.text(string.ascii_letters + "*?[]{},!/.-\\", max_size=30), st.text("ab.", min_size=1))
def test_any_pattern_is_read_or_refused(glob: str, name: str) -> None:
    try:
        pattern = Pattern.parse(glob)
    except Failure:
        return
    assert not (pattern.accepts(pattern.start, "." + name) and "." not in glob)


def test_values(tree: Path) -> None:
    first, again = DirValue(tree), DirValue(str(tree) + "/../docs")
    file = first.files("src/c.py")[0]
    assert (file.path, file.name, file.size, file.text) == ("src/c.py", "c.py", 16, "text of src/c.py")
    assert first == again
    assert file == again.files("src/*.py")[0]
    assert hash(file) == hash(again.files("src/*.py")[0])
    assert file != first.files("a.py")[0]
    assert repr(file) == "FileValue('src/c.py')"
    assert not hasattr(file, "__dict__")
    assert sum(map(sys.getsizeof, (file, file.raw, file.size, file.mtime))) < 260
    assert first.files("*.py") is first.files("*.py")  # the same whenever it is asked


def test_text_is_utf8_without_mark_and_with_plain_newlines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n\xc3\xa4")
    assert DirValue(tmp_path).files("a")[0].text == "one\ntwo\nthree\nä"


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0", b"caf\xe9", b"\xff\xfea\0", b"ok \xed\xa0\x80"])
def test_what_is_no_text_is_a_failure_that_names_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "logo.png").write_bytes(data)
    with pytest.raises(Failure, match=r"logo\.png .*text"):
        _ = DirValue(tmp_path).files()[0].text


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("12345")
    file = DirValue(tmp_path).files()[0]
    monkeypatch.setattr(files, "TEXT_CHARS", 4)
    with pytest.raises(Failure, match="a has 5 characters"):
        _ = file.text
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(limits.FILE_BYTES + 1)
    with pytest.raises(Failure, match="sparse has"):
        _ = DirValue(tmp_path).files("sparse")[0].text


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "delete", "fifo", "link", "folder"])
def test_a_file_that_changed_since_it_was_listed_is_a_failure(tmp_path: Path, change: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("12345")
    path = root / "a"
    path.write_text("12345")
    file = DirValue(root).files()[0]
    match change:
        case "grow":
            path.write_text("123456")
        case "shrink":
            path.write_text("1234")
        case "touch":
            os.utime(path, ns=(0, 0))
        case _:
            path.unlink()
    match change:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("../secret")
        case "folder":
            path.mkdir()
    with pytest.raises(Failure, match=r"\ba\b"):
        _ = file.text


def test_a_folder_replaced_by_a_link_leads_nowhere(tmp_path: Path) -> None:
    for name in ("root/in/a", "outside/a"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("12345")
        os.utime(tmp_path / name, ns=(1, 1))
    root = DirValue(tmp_path / "root")
    file = root.files()[0]
    assert file.text == "12345"
    (tmp_path / "root/in").rename(tmp_path / "moved")
    (tmp_path / "root/in").symlink_to(tmp_path / "outside")
    with pytest.raises(Failure, match="in/a"):
        _ = file.text
    assert DirValue(tmp_path / "root").files() == []
    (tmp_path / "root").rename(tmp_path / "old")
    (tmp_path / "root").mkdir()
    with pytest.raises(Failure, match="replaced"):
        _ = file.text
    with pytest.raises(Failure, match="replaced"):
        root.files("*")


def test_links_stay_within_the_root(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "docs-secret").mkdir()
    (tmp_path / "docs-secret/x").write_text("secret")
    (root / "sub/real").write_text("real")
    for name, target in {
        "link": "sub/real",
        "absolute": str(root / "sub/real"),
        "out": "../docs-secret/x",
        "proc": "/proc/self/environ",
        "broken": "nowhere",
        "self": "self",
        "folder": "sub",
        "loop": ".",
        "sub/up": "..",
        "device": "/dev/zero",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    value = DirValue(root)
    assert [file.path for file in value.files()] == ["absolute", "link", "sub/real"]
    link = value.files("link")[0]
    assert (link.text, link.name, link.size) == ("real", "link", 4)
    (root / "sub/real").unlink()
    (root / "sub/real").symlink_to("../../docs-secret/x")
    with pytest.raises(Failure, match="link"):
        _ = link.text


def test_limits_on_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "/".join(["d"] * 6)).mkdir(parents=True)
    (tmp_path / "d/d/x").write_text("")
    monkeypatch.setattr(files, "DIR_DEPTH", 5)
    with pytest.raises(LimitError, match="nested deeper"):
        DirValue(tmp_path).files()
    assert paths(tmp_path, "*/*/*") == ["d/d/x"]
    monkeypatch.setattr(files, "DIR_FILES", 3)
    with pytest.raises(LimitError, match="holds more than 3"):
        DirValue(tmp_path).files()
    lowest = os.dup(0)
    os.close(lowest)
    with pytest.raises(LimitError):
        DirValue(tmp_path).files()
    again = os.dup(0)
    os.close(again)
    assert again == lowest  # no descriptor was left open


def test_odd_names(tmp_path: Path) -> None:
    (tmp_path / "new\nline").write_text("1")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as file:
        file.write("2")
    listed = DirValue(tmp_path).files()
    assert [(f.path, f.text) for f in listed] == [("caf\\xe9.txt", "2"), ("new\nline", "1")]
    "".join(f.path for f in listed).encode()


def test_a_single_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "link").symlink_to("notes.txt")
    monkeypatch.chdir(tmp_path)
    file = FileValue.at("./notes.txt")
    assert (file.path, file.name, file.size, file.text) == ("./notes.txt", "notes.txt", 5, "hello")
    assert FileValue.at("link").text == "hello"
    assert FileValue.at("link").path == "link"
    os.mkfifo("fifo")
    for bad, why in {
        "nowhere": "no such file",
        ".": "is a directory",
        "fifo": "not a regular",
        "/dev/zero": "not a",
        "a\0b": "zero",
        "": "empty",
    }.items():
        with pytest.raises(UsageError, match=why):
            FileValue.at(bad)
    for bad, why in {"nowhere": "no such", "notes.txt": "not a directory", "a\0": "zero", "": "empty"}.items():
        with pytest.raises(UsageError, match=why):
            DirValue(bad)
    assert FileValue.held("-", b"\xef\xbb\xbfx").text == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "sub").mkdir()
    file = DirValue(tmp_path).files()[0]
    (tmp_path / "a").chmod(0)
    (tmp_path / "sub").chmod(0)
    assert stat.S_IMODE((tmp_path / "sub").stat().st_mode) == 0
    assert len(DirValue(tmp_path).files()) == 1
    with pytest.raises(Failure, match="a: permission denied"):
        _ = file.text


def test_many_files(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"{folder:02}").mkdir()
        for number in range(50):
            (tmp_path / f"{folder:02}" / f"{number:02}.py").touch()
    found = paths(tmp_path, "**/*.py")
    assert found == sorted(found)
    assert len(found) == 1_000


def test_a_path_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders are nested so deep that no path leads there, they can still be entered one by one."""
    monkeypatch.chdir(tmp_path)
    here = os.open(".", os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            inner = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    with pytest.raises(LimitError, match="more than 4,096 bytes"):
        DirValue(str(tmp_path)).files("**/*.txt")
