"""``report.html`` and ``report.md``: a search for people to read, made from its folder alone."""

from pathlib import Path

HTML, MARKDOWN = "report.html", "report.md"


def write(folder: Path) -> None:
    """Makes both files in a run's folder, also of a search that runs, was cut off or gave nothing.

    Needs no data, no Ray, no MLflow and no torch.

    Raises:
        UserError: the folder has no search.
        OSError: they cannot be written.
    """
    from search.report import contents, material, rendering
    from search.summary import write_aside

    found = material.read(folder)
    document = contents.document(found)
    write_aside(folder / HTML, rendering.html(document, folder).encode("utf-8", "replace"))
    write_aside(folder / MARKDOWN, rendering.markdown(document, folder).encode("utf-8", "replace"))
