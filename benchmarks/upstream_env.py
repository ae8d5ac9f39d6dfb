"""Makes a virtual environment with upstream's relik 1.0.7, whose name is that of ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.0.7"
# What its wheel asks for, but a torch of which there is a build for the CPU: it pins 2.3.1.
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
    # Neither is named by the wheel, and it cannot be imported with newer ones.
    "numpy<2",
    "pyarrow<18",
    "setuptools<81",
)
# Its windows come from a spaCy model that it downloads. The words are those of the rules of the
# language, which are the same in an empty pipeline of the same parts.
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
    """Install upstream, unless the folder has it already.

    Args:
        folder: Of the virtual environment.

    Returns:
        Its Python.

    Raises:
        SystemExit: This Python is not one that upstream takes, or a package cannot be had.
    """
    python = folder / "bin" / "python"
    if (folder / "ready").is_file():
        return python
    if not (3, 10) <= sys.version_info[:2] < (3, 12):
        raise SystemExit(
            f"relik {VERSION} takes Python 3.10 or 3.11, this is {sys.version.split()[0]}: run "
            "this with one of them, or give --python of an environment that has it"
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
    """Put the files of code that upstream demands beside the weights of a pipeline.

    They are of the installed package, and for upstream alone: ours does not look at them.

    Args:
        python: Upstream's Python.
        pipeline: The pipeline.
    """
    where = "import importlib.util as u, json; print(json.dumps(u.find_spec('relik').origin))"
    found = subprocess.run([str(python), "-I", "-c", where], check=True, stdout=subprocess.PIPE)
    package = Path(json.loads(found.stdout)).parent
    for encoder in pipeline.glob("encoder-*"):
        shutil.copy(package / "retriever/pytorch_modules/hf.py", encoder)
    for name in ("configuration_relik.py", "modeling_relik.py"):
        shutil.copy(package / "reader/pytorch_modules/hf" / name, pipeline / "reader")
