"""Are the ports free? Asked before anything starts, answered in one line that names the setting to change."""

import errno
import socket

from backoffice.configuration import Configuration


class PortTaken(Exception):
    """Another program listens where we would, or the address is not ours; the message says what to set."""


def check(config: Configuration) -> None:
    """:raises PortTaken: for the first port that cannot be had."""
    _check(config.host, config.port, "PORT", "HOST")
    if config.is_simulated:
        _check("127.0.0.1", config.deriv_sim_port, "DERIV_SIM_PORT", "HOST")
    if config.is_custodian_simulated:
        _check("127.0.0.1", config.custodian_sim_port, "CUSTODIAN_SIM_PORT", "HOST")


def _check(host: str, port: int, setting: str, host_setting: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free to us
        try:
            trial.bind((host, port))
            trial.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Port {port} is in use by another program. Set {setting} to a free one, for example "
                    f"`{setting}={port + 1} make run`."
                ) from error
            if error.errno == errno.EACCES:
                raise PortTaken(f"Port {port} is for root only. Set {setting} to one above 1023.") from error
            raise PortTaken(
                f"Cannot listen on {host}:{port} ({error.strerror}). Check {host_setting}."
            ) from error
