"""From nothing to a small model that answers: `quickstart(folder, Plan())`, which `culet quickstart` runs.

It learns a tokenizer, trains a teacher on the text that Python brings along, distils a student, trains the student's
twin without the teacher for comparison, tunes the student to answer questions, and writes a report.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.quickstart._quickstart import Plan, quickstart
    from culet.quickstart.corpus import documents

_HOME = {"_quickstart": ("Plan", "quickstart"), "corpus": ("documents",)}

__all__ = ["Plan", "documents", "quickstart"]

__getattr__, __dir__ = lazy(__name__, _HOME)
