"""Books as beancount text, checked by beancount's own program: somebody else's word that they add up."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = shutil.which("bean-check", path=str(Path(sys.executable).parent))


def checked(path: Path, content: str) -> subprocess.CompletedProcess[str]:
    """What `bean-check` says of a text; the path is where it is put."""
    if PROGRAM is None:
        pytest.skip("bean-check is not installed: it comes with requirements/dev.lock")
    path.write_text(content)
    return subprocess.run([PROGRAM, str(path)], capture_output=True, text=True, check=False)
