"""The headers and the cookie that pass between us and a proxy. No app ever sees one, and no visitor's is believed."""

LOOK_HEADER = "X-Celadon-Look"
SLOT_HEADER = "X-Celadon-Slot"
"""Answered, to looks only, by proxies whose log cannot tell the slot."""
RELEASE_HEADER = "X-Celadon-Release"
PREVIEW_HEADER = "X-Celadon-Preview"
PREVIEW_COOKIE = "celadon-preview"
OURS = (LOOK_HEADER, SLOT_HEADER, RELEASE_HEADER, PREVIEW_HEADER)
"""Taken off every request before it goes to a slot."""
OURS_BEGIN = "X-Celadon-"
