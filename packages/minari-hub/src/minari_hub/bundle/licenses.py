"""Licenses that data have, by their SPDX identifiers."""

from __future__ import annotations

SPDX_IDS = (
    *("0BSD", "AFL-3.0", "AGPL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0"),
    *("Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
    *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-2.0", "CC-BY-NC-3.0"),
    *("CC-BY-NC-4.0", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-2.0"),
    *("CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
    *("CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "ECL-2.0", "EPL-2.0"),
    *("EUPL-1.1", "EUPL-1.2", "GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0"),
    *("GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1", "LGPL-3.0", "LGPL-3.0-only"),
    *("LGPL-3.0-or-later", "MIT", "MPL-2.0", "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "Unlicense"),
    *("WTFPL", "Zlib"),
)
"""Identifiers of https://spdx.org/licenses that data have."""
_BY_NAME = {name.lower(): name for name in SPDX_IDS}


def find_spdx_id(text: str) -> str | None:
    """Return the SPDX identifier that a text is, however it is capitalized; None if it is none.

    Example:
        >>> find_spdx_id("cc-by-4.0"), find_spdx_id("ask me")
        ('CC-BY-4.0', None)
    """
    return _BY_NAME.get(text.strip().lower())
