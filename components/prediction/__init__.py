"""Pictures to masks, overlays and tables by a pushed model, without a server."""
