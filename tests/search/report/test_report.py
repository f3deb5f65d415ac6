"""The report, through its one function and its command."""

import base64
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made import Log, searched, whole
from page import Page
from PIL import Image

from search import report
from search.report.__main__ import main

ROOT = Path(__file__).parents[3]
MOST = 8_000_000
FEW = 12
"""Trials, too few for importances."""
SECTIONS = ["found", "confirmation", "course", "settings", "families", "tested", "wrong", "cost", "ledger", "again",
            "trials"]  # fmt: skip


def read(folder: Path) -> tuple[Page, str]:
    html, markdown = (folder / name for name in ("report.html", "report.md"))
    assert html.stat().st_size < MOST
    page = Page(html.read_text(encoding="utf-8"))
    assert page.loads() == []
    assert all(image.get("alt") for image in page.every("img"))
    return page, markdown.read_text(encoding="utf-8")


def written(folder: Path) -> tuple[Page, str]:
    report.write(folder)
    return read(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = whole(tmp_path_factory.mktemp("runs") / "made")
    for name in ("curves", "mistakes", "data"):
        Image.new("RGB", (30, 20)).save(folder / f"{name}.png")
    report.write(folder)
    return folder


def test_a_finished_search_has_every_section_with_its_figures(finished: Path) -> None:
    page, markdown = read(finished)
    assert [section["id"] for section in page.every("section")] == SECTIONS
    first = next(line for line in page.text.splitlines() if "The winner's test error" in line)
    assert first.startswith("The winner's test error is 6.7 % (3.3 to 10.0 %), ")
    for said in (
        "the same, another seed", "MLP by hand, as reported", "ensemble of trials 41 and 43",
        "were trained again from scratch with 2 fresh seeds, each seed with a validation split of its own",
        "by stopping at rungs", "Expected calibration error", "What tells them best from the others: lr above 0.00",
        "copies on both sides", "c0ffee, and changes not committed",
    ):  # fmt: skip
        assert said in page.text.replace("\n", " "), said
    assert "**The winner's test error is 6.7 %" in markdown
    assert "(curves.png)" in markdown
    assert "(best_so_far.png)" not in markdown
    alts = " ".join(str(image["alt"]) for image in page.every("img"))
    for said in (
        "winner, trial 41",
        "completed, best",
        "confirmed mean",
        "Importances with their 80 % intervals",
        "lr",
    ):
        assert said in alts


def test_a_chart_is_there_for_a_page_and_for_a_phone(finished: Path) -> None:
    page, _ = read(finished)
    sources = page.every("source")
    assert len(sources) >= 8
    for source in sources:
        svg = base64.b64decode(str(source["srcset"]).partition(",")[2]).decode()
        assert svg.startswith("<svg")
        assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
        fonts = re.findall(r"font-family: [^;\"]*", svg)
        assert fonts
        assert all("Helvetica" in font for font in fonts)


def test_the_only_script_is_the_one_that_the_page_allows(finished: Path) -> None:
    page, _ = read(finished)
    policy = next(str(meta["content"]) for meta in page.every("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(page.every("script")) == 1


def test_a_copy_of_the_folder_gives_the_same_report(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for path in finished.iterdir():
        if not path.name.startswith("report"):
            (copy / path.name).write_bytes(path.read_bytes())
    page, markdown = written(copy)
    here, there = (finished / "report.md").read_text(), markdown
    assert here.replace("search.train made", "").replace("search.report made", "") == there.replace(
        "search.train elsewhere", ""
    ).replace("search.report elsewhere", "")
    assert "The search's conf is not valid here" not in page.text


def test_what_the_summary_knows_goes_before_what_the_log_says(tmp_path: Path) -> None:
    folder = whole(tmp_path / "made", FEW)
    sentences = ["It was worth it.", "Somewhat."]
    looks = {"split": "abc", "complete": True, "openings": [
        {"search": name, "id": name, "number": 1, "time": 1e9, "checkpoints": [1, 2], "why": "search"}
        for name in ("this", "that")]}  # fmt: skip
    states: dict[str, int] = {}
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "ending":
            states[event["state"]] = states.get(event["state"], 0) + 1
    known = {"counts": states, "verdict": {"sentences": sentences}, "ledger": looks, "references": []}
    (folder / "summary.json").write_text(json.dumps(known))
    page, _ = written(folder)
    assert "It was worth it." in page.text
    assert "2 times, by 2 searches." in page.text
    (folder / "summary.json").write_text(json.dumps(known | {"counts": {"completed": 1}}))
    page, _ = written(folder)
    assert "It was worth it." not in page.text


def broken() -> Log:
    log = Log()
    for number in range(5):
        reason = "ValueError: no such thing"
        log.trial({"model": "mlp", "lr": 0.1}, [], ("failed", "oom")[number % 2], reason=reason)
    log.add("end", wall_seconds=3.0, interrupted=False)
    return log


def cut_off() -> Log:
    log = Log()
    searched(log, 8)
    log.trial({"model": "mlp", "lr": 0.1}, [1.0], "running")
    return log


def interrupted() -> Log:
    log = cut_off()
    log.add("end", wall_seconds=3.0, interrupted=True)
    return log


def nothing() -> Log:
    return Log()


def old() -> Log:
    """As the first logs were: without a metric, F1, classes, sizes or a conf."""
    log = Log()
    log.events = [{"event": "search", "time": 1e9, "name": "old"}]
    log.trial({"model": "mlp", "lr": 0.1}, [1.0, 0.5])
    for event in log.events[1:]:
        for figures in [event.get("best", {}), *event.get("epochs", ())]:
            figures.pop("val_f1", None)
    log.add("test", trial=0, chosen="winner", error=0.25, loss=0.5, f1=0.75, interval=[0.1, 0.4], model="mlp",
            origin="sampler", opening=1)  # fmt: skip
    return log


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (broken, "no trial of 5 left a model (3 failed, 2 ran out of memory)"),
        (cut_off, "The search was cut off before its end"),
        (interrupted, "The search was interrupted: this is as far as it came"),
        (nothing, "the search ended before its first trial"),
        (old, "The winner's test error is 25.0 %"),
    ],
)
def test_a_search_that_has_little_to_tell_tells_it(tmp_path: Path, log, said: str) -> None:
    page, markdown = written(log().write(tmp_path / "made"))
    assert said in page.text
    assert said in markdown
    assert page.every("section")


def test_names_from_outside_are_shown_as_they_are_and_do_nothing(tmp_path: Path) -> None:
    evil = '<script>alert("x|y")</script>'
    log = Log(classes=[evil, "a|b", "$x$ `c` *d*"], name=evil, command=f"run {evil}\n```\n", dataset_warnings=[evil],
              task=evil, dataset_origin=f"]({evil}) ![]({evil})", versions={evil: evil})  # fmt: skip
    trial = log.trial({"model": evil, "optimizer": '"><img src=x onerror=y>', "lr|": 0.1}, [1.0, 0.5])
    for number in range(3):
        log.trial({"model": evil, "optimizer": "a|b", "lr|": 0.2 + number}, [1.0], "failed", reason=f"{evil}\n| x |")
    log.test(trial, "winner", 2)
    page, markdown = written(log.write(tmp_path / "made"))
    assert len(page.every("script")) == 1
    assert all(set(image) <= {"src", "alt", "width", "height"} for image in page.every("img"))
    assert page.text.count(evil) > 5
    assert "\\<script\\>" in markdown
    fenced = [line for line in markdown.splitlines() if not line.startswith("    ")]
    assert re.search(r"(?<!\\)<", "\n".join(fenced)) is None
    pipes = [len(re.findall(r"(?<!\\)\|", line)) for line in fenced]
    for before, now in itertools.pairwise(pipes):
        assert before == now or 0 in (before, now)


def test_a_large_picture_is_made_smaller_and_what_is_none_left_out(tmp_path: Path) -> None:
    folder = whole(tmp_path / "made", FEW)
    noise = np.random.default_rng(0).integers(256, size=(1200, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "examples.png")
    (folder / "mistakes.png").write_bytes(b"no picture")
    page, _ = written(folder)
    embedded = [image for image in page.every("img") if str(image["src"]).startswith("data:image/webp")]
    assert [image["alt"] for image in embedded] == [next(iter(embedded))["alt"]]
    assert "mistakes.png in the search's folder shows it" in page.text


def test_predictions_that_were_cut_off_cost_the_calibration_only(tmp_path: Path) -> None:
    folder = whole(tmp_path / "made", FEW)
    path = folder / "predictions.npz"
    path.write_bytes(path.read_bytes()[:100])
    page, _ = written(folder)
    assert "calibration error" not in page.text
    assert "The winner's test error is 6.7 %" in page.text


def test_the_command_says_where_the_files_are_and_knows_no_such_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nothing().write(tmp_path / "made")
    assert main(["made", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder / "report.html"), str(folder / "report.md")]
    assert main([str(folder)]) == 0
    assert main(["other", "--runs-dir", str(tmp_path)]) == 2


def test_neither_ray_nor_torch_nor_mlflow_is_needed(tmp_path: Path) -> None:
    folder = cut_off().write(tmp_path / "made")
    script = (
        "import sys; from pathlib import Path; from search import report; report.write(Path(sys.argv[1])); "
        "print(*{'ray', 'torch', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
