"""The table of formats by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from relik.errors import InputError
from relik_training.formats.aida import Aida
from relik_training.formats.annotated import Format
from relik_training.formats.blink import Blink
from relik_training.formats.docbin import DocBin
from relik_training.formats.doccano import DOCCANO
from relik_training.formats.docred import DOCRED
from relik_training.formats.labelstudio import LABEL_STUDIO
from relik_training.formats.nif import Nif
from relik_training.formats.nyt import NYT
from relik_training.formats.relik_lines import RELIK
from relik_training.formats.scierc import SCIERC
from relik_training.formats.spert import SPERT
from relik_training.formats.webnlg import Webnlg

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "aida": Aida(),
        "blink": Blink(),
        "docbin": DocBin(),
        "doccano": DOCCANO,
        "docred": DOCRED,
        "kilt": Blink(kilt=True),
        "labelstudio": LABEL_STUDIO,
        "nif": Nif(),
        "nyt": NYT,
        "relik": RELIK,
        "scierc": SCIERC,
        "spert": SPERT,
        "webnlg": Webnlg(),
    }
)


def format_named(name: str) -> Format:
    """Return a format of `FORMATS`.

    Raises:
        InputError: No format has this name.
    """
    found = FORMATS.get(name)
    if found is None:
        similar = get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {similar[0]!r}? " if similar else ""
        raise InputError(
            f"got the format {name!r}, {hint}expected one of {', '.join(FORMATS)}: choose one"
        )
    return found
