"""A virtual environment with upstream's relik 1.0.7, which cannot be installed beside ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.0.7"
# The requirements of its wheel, but torch in versions with a CPU build: the wheel pins 2.3.1.
REQUIREMENTS = (
    "torch>=2.6,<2.14",
    "transformers[sentencepiece]>=4.41,<4.42",
    "rich>=13,<14",
    "scikit-learn>=1.5,<1.6",
    "overrides>=7.4,<7.9",
    "art==6.2",
    "pprintpp==0.4.0",
    "colorama==0.4.6",
    "termcolor==2.4.0",
    "spacy>=3.7,<3.8",
    "typer>=0.12,<0.13",
    "lightning>=2.3,<2.4",
    "datasets>=2.13,<2.15",
    "hydra-core>=1.3,<1.4",
    "hydra-colorlog",
    "wandb>=0.15,<0.18",
    "fastapi>=0.112,<0.113",
    "uvicorn[standard]==0.23.2",
    "psutil",
    # Missing in the requirements of the wheel, which fails to import with newer versions.
    "numpy<2",
    "pyarrow<18",
    "setuptools<81",
)
# Upstream downloads a spaCy model for its windows. Its words come from the rules of the language,
# which are the same in an empty pipeline with the same components.
_STAND_IN = """
import json, site, spacy
from pathlib import Path
folder = Path(site.getsitepackages()[0])
nlp = spacy.blank("en")
nlp.add_pipe("tok2vec")
nlp.add_pipe("attribute_ruler")
nlp.initialize()
nlp.meta["name"] = "core_web_sm"
package = folder / "en_core_web_sm"
package.mkdir()
nlp.to_disk(package / "data")
(package / "meta.json").write_text(json.dumps(nlp.meta))
(package / "__init__.py").write_text(
    "from pathlib import Path\\nfrom spacy.util import load_model_from_path\\n"
    "def load(**options):\\n"
    "    return load_model_from_path(Path(__file__).parent / 'data', **options)\\n"
)
known = folder / "en_core_web_sm-0.0.0.dist-info"
known.mkdir()
(known / "METADATA").write_text("Metadata-Version: 2.1\\nName: en-core-web-sm\\nVersion: 0.0.0\\n")
(known / "RECORD").write_text("")
"""


def make_environment(folder: Path) -> Path:
    """Install upstream, unless the folder already has it, and return its Python.

    Raises:
        SystemExit: Upstream does not support this Python.
    """
    python = folder / "bin" / "python"
    if (folder / "ready").is_file():
        return python
    if not (3, 10) <= sys.version_info[:2] < (3, 12):
        raise SystemExit(
            f"got Python {sys.version.split()[0]}, expected 3.10 or 3.11 for relik {VERSION}: use "
            "one of these, or give --python of an environment that has it"
        )
    print(f"installing relik {VERSION} in {folder}, a few minutes", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *REQUIREMENTS], check=True)
    subprocess.run([*install, "--no-deps", f"relik=={VERSION}"], check=True)
    subprocess.run([str(python), "-c", _STAND_IN], check=True)
    (folder / "ready").touch()
    return python


def add_code(python: Path, pipeline: Path) -> None:
    """Copy the code files that upstream needs into a pipeline, from its installed package."""
    where = "import importlib.util as u, json; print(json.dumps(u.find_spec('relik').origin))"
    found = subprocess.run([str(python), "-I", "-c", where], check=True, stdout=subprocess.PIPE)
    package = Path(json.loads(found.stdout)).parent
    for encoder in pipeline.glob("encoder-*"):
        shutil.copy(package / "retriever/pytorch_modules/hf.py", encoder)
    for name in ("configuration_relik.py", "modeling_relik.py"):
        shutil.copy(package / "reader/pytorch_modules/hf" / name, pipeline / "reader")
