"""A report's sections, in their order."""

from datetime import UTC, datetime

from search.report import again, breakages, confirming, cost, course, deciding, families, result, tested
from search.report.document import Document
from search.report.material import Material


def document(material: Material) -> Document:
    """The whole report."""
    makers = (result.section, confirming.section, course.section, deciding.section, families.section, tested.section,
              breakages.section, cost.section, again.ledger, again.rerun, again.trials)  # fmt: skip
    sections = [section for make in makers if (section := make(material)) is not None]
    return Document(material.name, kicker(material), result.sentences(material), result.figures(material), sections)


def kicker(material: Material) -> str:
    """What it is of, and from when."""
    began = datetime.fromtimestamp(material.search.get("time", 0.0), UTC)
    task = material.search.get("task", "")
    return f"Rungs: a hyperparameter search of {task or 'a task'}, {began.day} {began:%B %Y}, {began:%H:%M} UTC"
