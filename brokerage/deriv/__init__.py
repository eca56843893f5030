"""The venue Deriv: a typed client for its WebSocket protocol, and a simulator of the venue.

Modules of the client
    ``types``       what the venue says, as frozen dataclasses that know no protocol generation
    ``errors``      what can go wrong, sorted by what the caller must do next
    ``client``      the interface every protocol generation implements
    ``connection``  one multiplexed socket: answers by request id, streams, heartbeat
    ``v3``          the interface over protocol generation v3
    ``wire``        JSON text with exact numbers
    ``serial``      the dataclasses to plain JSON and back

``simulator`` is a venue of its own, with its own books; it shares no state with the back office.

Words: a *stream* is what the venue keeps sending after one request; a *subscription* is our end of it.
"""
