"""Protocol generation v4 over the simulator's engine: accounts over HTTP, and sockets opened with one-time addresses.

The calls are v3's own, asked and written in v4's words: ``calls`` turns requests into v3's, ``shown`` answers into v4's.
"""
