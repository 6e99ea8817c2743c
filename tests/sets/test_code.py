"""The digest of code: words may change, what computes may not."""

import numpy as np
import pytest

from xray_mining.features.instrument import Features
from xray_mining.features.options import FeatureOptions
from xray_mining.sets.code import digest_of_code, digest_of_text, imported

CODE = '''"""A module."""

from xray_mining.features.intensity import histograms
from scipy.special import expit as squashed
import numpy as np

SHARE = 0.5
if TYPE_CHECKING:
    Count = int
else:
    Count = object


class Summed:
    """A class."""

    power: int = 2

    def mean(self, values):
        # half of it
        return self.deviation(values) * SHARE

    def deviation(self, values: np.ndarray) -> float:
        """Of the values."""
        if not len(values):
            raise ValueError("there is none")
        middle = squashed(histograms(values, sides=2)).mean()
        return float(np.sqrt(((values - middle) ** self.power).mean()))
'''
SAME = {
    "comments": ("# half of it", "# one half of what the values\n        # deviate by"),
    "docstrings": (
        '"""Of the values."""',
        '"""Standard deviation.\n\n        Args:\n            values: any.\n        """',
    ),
    "no docstring": ('    """A class."""\n\n', ""),
    "line breaks": (
        "self.deviation(values) * SHARE",
        "(\n            self.deviation(values)\n            * SHARE\n        )",
    ),
    "types": ("(self, values: np.ndarray) -> float:", "(self, values):"),
    "a sentence": ('ValueError("there is none")', 'ValueError(f"values: none of {self}; give some")'),
    "a module moved": ("xray_mining.features.intensity", "xray_mining.grey"),
    "the name of an import": ("squashed", "expit"),
    "the name of a package": ("np", "numpy"),
    "code for type checkers": ("Count = int", "Count = float"),
    "a variable": ("middle", "centre"),
    "a constant's name": ("SHARE", "HALF"),
    "the class's name": ("Summed", "Spread"),
}
OTHER = {
    "a number": ("SHARE = 0.5", "SHARE = 0.25"),
    "a function": (").mean()", ").max()"),
    "a default": ("power: int = 2", "power: int = 3"),
    "an operator": ("values - middle", "values + middle"),
    "an error's type": ("raise ValueError", "raise KeyError"),
    "what runs instead of code for type checkers": ("Count = object", "Count = str"),
    "an import": ("expit as squashed", "erf as squashed"),
    "a package": ("scipy.special", "scipy.stats"),
    "a package of the same short name": ("import numpy as np", "import jax as np"),
    "an argument's name in a call": ("sides=2", "sizes=2"),
    "methods that change their names": ("", ""),
}


@pytest.mark.parametrize("what", SAME)
def test_words_change_nothing(what):
    before, after = SAME[what]
    assert before in CODE
    assert digest_of_text(CODE.replace(before, after)) == digest_of_text(CODE)


@pytest.mark.parametrize("what", OTHER)
def test_what_computes_is_digested(what):
    before, after = OTHER[what]
    changed = (
        CODE.replace(before, after)
        if before
        else CODE.replace("def mean", "def _").replace("def deviation", "def mean").replace("def _", "def deviation")
    )
    assert changed != CODE
    assert digest_of_text(changed) != digest_of_text(CODE)


def test_a_variable_that_takes_the_name_of_what_it_is_made_by_hides_no_change():
    code = "def f(x):\n    mean = x.mean()\n    return mean\n"
    assert digest_of_text(code) == digest_of_text(code.replace("mean =", "m =").replace("return mean", "return m"))
    assert digest_of_text(code) != digest_of_text(code.replace("mean", "max"))


def test_arguments_that_change_places_are_another_code_for_a_call_that_names_one():
    code = "def f(a=1, b=2):\n    return a - b\ndef g():\n    return f(a=3)\n"
    changed = "def f(b=1, a=2):\n    return b - a\ndef g():\n    return f(a=3)\n"
    assert digest_of_text(code) != digest_of_text(changed)


def test_a_function_of_this_package_may_be_imported_under_another_name():
    defined = "def f(x):\n    return x + 1\ndef g(x):\n    return x * 2\n"
    code = digest_of_text("from xray_mining.sets.a import f\ny = f(2)\n", defined)
    assert code == digest_of_text("from xray_mining.sets.b import f as h\ny = h(2)\n", defined)
    assert code != digest_of_text("from xray_mining.sets.a import g as f\ny = f(2)\n", defined)


def test_two_functions_that_change_places_are_another_code():
    code = "def f(x):\n    return x + 1\ndef g(x):\n    return x * 2\ndef h(x):\n    return f(x)\n"
    assert digest_of_text(code) != digest_of_text(code.replace("return f(x)", "return g(x)"))


def test_one_function_of_a_module():
    resized = digest_of_code(("xray_mining.networks.data:resized",))
    assert resized == digest_of_code(("xray_mining.networks.data:resized",))
    assert resized != digest_of_code(("xray_mining.features.instrument:measure",))
    with pytest.raises(KeyError):
        digest_of_code(("xray_mining.networks.data:no_such",))
    with pytest.raises(ModuleNotFoundError):
        digest_of_code(("xray_mining.no_such",))


def test_a_family_is_digested_with_what_it_takes_from_others_and_no_other_family():
    room = "xray_mining.features"
    assert imported([f"{room}.histogram"], [room], [f"{room}.registry"]) == (
        f"{room}.histogram",
        f"{room}.intensity",
        f"{room}.options",
        f"{room}.picture",
    )
    sources = Features(FeatureOptions(families=["border"])).sources
    assert set(sources) == {f"{room}.picture", f"{room}.instrument:measure", f"{room}.border"}
    assert f"{room}.intensity" in Features(FeatureOptions(families=["histogram"])).sources
    # How the kernels are compiled can change numbers too.
    assert "xray_mining.kernels" in Features(FeatureOptions(families=["cooccurrence"])).sources


@pytest.mark.parametrize(
    "line",
    [
        "from xray_mining.features.intensity import histograms",
        "from xray_mining.features import intensity",
        "from xray_mining.features import intensity as grey",
        "import xray_mining.features.intensity",
        "from .intensity import histograms",
        "from . import intensity",
    ],
)
def test_every_form_of_an_import_is_followed(tmp_path, monkeypatch, line):
    import xray_mining.features as room

    (tmp_path / "made_up.py").write_text(f"{line}\n")
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    assert "xray_mining.features.intensity" in imported(["xray_mining.features.made_up"], ["xray_mining.features"])


def test_every_source_of_the_embeddings_is_there():
    from xray_mining.models.embedding import Embeddings

    assert len({digest_of_code((each,)) for each in Embeddings.sources}) == len(Embeddings.sources)
    assert np.unique([digest_of_code(Embeddings.sources) for _ in range(2)]).size == 1
