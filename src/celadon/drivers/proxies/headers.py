"""The headers and the cookie that pass between us and a proxy. No app ever sees one, and no visitor's is believed."""

OURS_BEGIN = "X-Celadon-"
LOOK_HEADER = f"{OURS_BEGIN}Look"
SLOT_HEADER = f"{OURS_BEGIN}Slot"
"""Answered, to looks only, by proxies whose log cannot tell the slot."""
RELEASE_HEADER = f"{OURS_BEGIN}Release"
PREVIEW_HEADER = f"{OURS_BEGIN}Preview"
PREVIEW_COOKIE = "celadon-preview"
OURS = (LOOK_HEADER, SLOT_HEADER, RELEASE_HEADER, PREVIEW_HEADER)
"""Taken off every request before it goes to a slot; by a proxy that can, all that begin as ours do."""
LOGGED = "logged"
"""Begins the rest of a look, after the mark, that HAProxy is to log: it goes by the server `aside`."""
