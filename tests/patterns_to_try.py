"""Regular expressions and names for them, made up by hypothesis: small, and full of choices."""

from hypothesis import strategies as st

_CHARACTERS = [*"ab1.", r"\.", r"\w", r"\d", r"\s", r"\W", r"\S", "[ab]", "[^a]", "[a-c1]", r"[^\d]", r"[\w.]", "é"]
_QUANTIFIERS = ["?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??", "*+", "++", "?+", "{2}+"]
_GROUPS = ["({})", "(?:{})", "(?={})", "(?!{})", "(?>{})"]


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: "(?:" + "|".join(branches) + ")"),
        st.builds(str.format, st.sampled_from(_GROUPS), inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(_QUANTIFIERS)),
        st.builds("({}){}".format, inner, st.sampled_from(_QUANTIFIERS)),
    )


_quantified = st.builds(str.__add__, st.sampled_from(_CHARACTERS), st.sampled_from(["", *_QUANTIFIERS]))
_bodies = st.recursive(st.one_of(_quantified, st.sampled_from(["", "^", "$", r"\b", r"\Z"])), _larger, max_leaves=8)
patterns = st.builds(str.__add__, st.sampled_from(["", "", "(?i)", "(?s)", "(?m)", "(?a)"]), _bodies)
names = st.text("abAB1. \né", max_size=9)
