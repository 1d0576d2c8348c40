"""Writes what people read: the page and the spreadsheet beside ``report.json``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from countenance.atomic import replacing
from countenance.errors import DependencyMissing, LeftOut
from countenance.evaluation.report.page import page_text
from countenance.evaluation.report.tables import csv_table

PAGE, SHEET = "report.html", "report.csv"


def write_report(output: Path, report: dict[str, Any], data: Path) -> Path:
    """Write ``report.csv`` and ``report.html``.

    Args:
        output: folder of the evaluation.
        report: see :func:`countenance.evaluation.evaluate.report_of`.
        data: folder of the clips, for the true pictures.

    Returns:
        Path of the page; of the spreadsheet where what makes the page is not installed.

    Raises:
        OutputUnwritable: the folder or the disk.
    """
    with replacing(output / SHEET) as temporary:
        temporary.write_text(csv_table(report), encoding="utf-8")
    try:
        text = page_text(output, report, data)
    except DependencyMissing as error:
        warnings.warn(LeftOut(f"the page was left out: {error}"), stacklevel=2)
        return output / SHEET
    with replacing(output / PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return output / PAGE
