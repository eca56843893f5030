"""Protocol generation v3 over the simulator's engine: one WebSocket, requests named by their first known key."""
