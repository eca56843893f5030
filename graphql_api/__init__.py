"""The edge for client apps: one GraphQL schema over HTTP and WebSocket."""
