"""Proves that the exported model serves: a server's process, real sockets, real files."""
