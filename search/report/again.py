"""How often the test split was looked at, all that is needed to run the search again, and every trial."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from search.history import TrialResult
from search.report.document import Block, Cell, Code, Column, Facts, Picture, Row, Section, Table, Text, cell
from search.report.material import Material
from search.report.slices import plain
from search.report.wording import NAMES, count, figure, percent, setting
from search.space import label

_TRIALS, _BRIEF = 500, 20
_OPENINGS = 30


def ledger(material: Material) -> Section | None:
    """The openings of the test split on record."""
    known = material.told.get("ledger")
    openings: Sequence[Mapping[str, Any]] = known["openings"] if known else [
        {"search": material.name, "number": one.get("number"), "time": one.get("time"),
         "checkpoints": len(one.get("trials") or ()), "why": one.get("why")}
        for one in material.history.openings
    ]  # fmt: skip
    title = "How often the test split was looked at"
    if not openings:
        return Section("ledger", title, [Text("It has not been opened.")])
    searches = len({str(one.get("id", one.get("search"))) for one in openings})
    often = "Once" if len(openings) == 1 else f"{len(openings):,} times, by {count(searches, 'search', '', 'es')}"
    complete = bool(known and known.get("complete"))
    where = "" if complete else " as far as this search knows: the record in MLflow was not at hand, or lacked some"
    after = "Whatever is chosen after a look has seen the test split, and its figure there promises too much."
    text = f"{often}{where}. {after}"
    columns = [Column("when (UTC)", numeric=False), Column("search", numeric=False), Column("opening"),
               Column("checkpoints"), Column("why", numeric=False)]  # fmt: skip
    rows = []
    for one in openings[-_OPENINGS:]:
        when = f"{datetime.fromtimestamp(one['time'], UTC):%Y-%m-%d %H:%M}" if one.get("time") else ""
        checkpoints = one.get("checkpoints")
        number = len(checkpoints) if isinstance(checkpoints, list) else checkpoints
        rows.append(Row([Cell(when), Cell(str(one.get("search", ""))), cell(one.get("number")), cell(number),
                         Cell(str(one.get("why") or ""))]))  # fmt: skip
    more = f", the last {_OPENINGS} of {len(openings)}" if len(openings) > _OPENINGS else ""
    split = f" of split {known['split']}" if known and known.get("split") else ""
    return Section("ledger", title, [Text(text), Table(f"Openings{split}{more}", columns, rows)])


def rerun(material: Material) -> Section:
    """Command, data, versions, conf."""
    search = material.search
    blocks: list[Block] = []
    if commands := _commands(material):
        blocks.append(Code("\n".join(commands)))
    sizes = search.get("dataset_sizes") or {}
    folds = sizes.get("folds") or ()
    shape = "×".join(map(str, sizes.get("input_shape") or ()))
    commit, changed = search.get("git_commit"), ", and changes not committed" if search.get("git_dirty") else ""
    pairs = [
        ("seed", search.get("seed")),
        ("code", f"commit {commit}{changed}" if commit else ""),
        ("versions", ", ".join(f"{name} {version}" for name, version in (search.get("versions") or {}).items())),
        ("data", search.get("dataset_origin")),
        ("digest of the data", search.get("dataset_digest")),
        ("examples", f"{sizes.get('development', 0):,} to develop with ("
                     + ", ".join(f"{train:,} + {val:,}" for train, val in folds[:5])
                     + f"), {sizes.get('test', 0):,} to test" if sizes else ""),
        ("an example", f"{shape}, {count(len(material.classes), 'class', '', 'es')}" if shape else ""),
        ("recorded in", search.get("tracking_uri")),
    ]  # fmt: skip
    blocks.append(Facts([(name, str(value)) for name, value in pairs if value not in (None, "")]))
    blocks += [Text(f"On the data: {warning}", "warning") for warning in search.get("dataset_warnings") or ()]
    blocks.append(
        Text(
            "A trial's figures follow from its settings and its seed (on CPUs to the last bit); which settings are "
            "proposed depends on the order in which trials end, so that the same command finds another way. All "
            "packages are in requirements.txt, the conf as it was given in conf.yaml, every event in events.jsonl.",
            "note",
        )
    )
    if material.has("data.png"):
        names = ", ".join(material.classes[:12])
        alt = (
            f"What was learnt from: examples of the classes {names}, also as augmented, and how many there are of each."
        )
        blocks.append(Picture("data.png", alt, "What was learnt from."))
    if material.conf:
        blocks.append(Code(_yaml(material.conf), "The conf as it was resolved"))
    return Section("again", "To run it again", blocks)


def _commands(material: Material) -> list[str]:
    search = material.search
    options = search.get("options", {})
    where = [option for name, option in (("runs_dir", "--runs-dir"), ("storage", "--storage"))
             if options.get(name) not in (None, "runs") for option in (option, str(options[name]))]  # fmt: skip
    name = material.folder.name
    lines = [str(search["command"])] if search.get("command") else []
    if material.standing != "ended" and search.get("task"):
        lines.append(shlex.join(["python", "-m", "search.run", str(search["task"]), "--resume", name, *where]))
    runs = where[:2] if where[:1] == ["--runs-dir"] and name == material.name else []  # a copy lies elsewhere
    if material.winning and material.winner:
        trial = [
            "--trial",
            str(material.winning.id),
            "--epochs",
            str(material.epochs),
        ]
        lines.append(shlex.join(["python", "-m", "search.train", name, *trial, *runs]))
    return [*lines, shlex.join(["python", "-m", "search.report", name, *runs])]


def _yaml(conf: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(dict(conf), sort_keys=False, default_flow_style=None, width=96, allow_unicode=True)
    return text


def trials(material: Material) -> Section | None:
    """All of them, the best by validation first."""
    every = list(material.history.trials.values())
    if not every:
        return None
    metric = material.metric
    every.sort(key=lambda trial: (trial.apart is not None, (value := trial.cost(metric)) is None, value, trial.id))
    shown = every[:_TRIALS]
    settings = [plain(trial.config) for trial in shown]
    names, same = _varied([plain(trial.config) for trial in shown if trial.apart is None] or settings)
    metrics = list(dict.fromkeys([metric, "val_loss", "val_error"]))
    columns = [Column("trial"), Column("model", numeric=False), Column("how it ended", numeric=False), Column("epochs"),
               *(Column(NAMES[name]) for name in metrics), Column("part", numeric=False),
               Column("seconds", brief=False), Column("parameters", brief=False),
               *(Column(name, brief=False) for name in names),
               Column("reason", numeric=False, brief=False)]  # fmt: skip
    rows = [_row(material, trial, metrics, own, names) for trial, own in zip(shown, settings, strict=True)]
    blocks: list[Block] = []
    if same:
        blocks.append(
            Text(
                "The same in all of the search's own: "
                + ", ".join(f"{name} {setting(value)}" for name, value in same.items()),
                "note",
            )
        )
    more = f", the first {_TRIALS:,} of {len(every):,}: trials.csv has all" if len(every) > _TRIALS else ""
    blocks.append(Table(f"Trials, the best by {NAMES[metric]} first, then those beside the search{more}", columns, rows,
                        sortable=True, most=_BRIEF))  # fmt: skip
    return Section("trials", "All trials", blocks)


def _varied(settings: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Names of settings that differ among trials, and those that do not with their value."""
    names = list(dict.fromkeys(name for own in settings for name in own if name != "model"))
    values = {name: {repr(label(own[name])) if name in own else "" for own in settings} for name in names}
    same = {name: settings[0][name] for name in names if len(values[name]) == 1}
    return [name for name in names if name not in same], same


def _row(
    material: Material, trial: TrialResult, metrics: Sequence[str], own: Mapping[str, Any], names: Sequence[str]
) -> Row:
    part = {"reference": trial.origin, "confirmation": f"confirms {trial.origin}", "again": f"{trial.origin} again"}
    wins = material.winner is not None and trial.id == material.winner["trial"]
    values = [(name, trial.figure(name)) for name in metrics]
    cells = [
        cell(trial.id), Cell(trial.model), Cell(trial.state), cell(trial.epochs),
        *(cell(value, percent(value) if name == "val_error" else figure(value, name)) for name, value in values),
        Cell("winner" if wins else part.get(str(trial.apart), "")),
        cell(trial.seconds, f"{trial.seconds:.1f}"),
        cell(trial.parameters, f"{trial.parameters:,}" if trial.parameters else ""),
        *(_setting(own[name]) if name in own else Cell("") for name in names),
        Cell(" ".join(trial.reason.split())[:160]),
    ]  # fmt: skip
    return Row(cells, "strong" if wins else "quiet" if trial.apart else "plain")


def _setting(value: Any) -> Cell:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(setting(value), float(value) if number else None)


def winning(material: Material) -> Facts | None:
    """The winner's settings."""
    trial = material.winning
    if trial is None:
        return None
    return Facts([(name, setting(value)) for name, value in plain(trial.config).items()], dense=True)
