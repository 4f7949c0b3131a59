"""Frames on the pipes between the guard and the process that has the module."""

from __future__ import annotations

import struct
from typing import IO

from .calls import Answer, Kind

HEAD = struct.Struct(">B?IQ")  # kind, connected, bytes of JSON, bytes of arrays
CALL_HEAD = struct.Struct(">I")  # bytes of JSON
# What a pipe takes without anybody reading, also on Windows: handing a call over never waits, whatever the module does.
MAX_CALL_BYTES = 4096


def write_call(pipe: IO[bytes], document: bytes) -> None:
    """Hand a call over; raise ValueError when it is too long, OSError when nobody is there to read it."""
    if CALL_HEAD.size + len(document) > MAX_CALL_BYTES:
        allowed = MAX_CALL_BYTES - CALL_HEAD.size
        raise ValueError(f"a call has at most {allowed} bytes of JSON, was {len(document)}")
    pipe.write(CALL_HEAD.pack(len(document)) + document)
    pipe.flush()


def read_call(pipe: IO[bytes]) -> bytes:
    """Wait for a call; raise EOFError when the guard has gone."""
    (length,) = CALL_HEAD.unpack(_exactly(pipe, CALL_HEAD.size))
    return _exactly(pipe, length)


def write_answer(pipe: IO[bytes], answer: Answer) -> None:
    pipe.write(HEAD.pack(answer.kind, answer.connected, len(answer.document), len(answer.blob)))
    pipe.write(answer.document)
    pipe.write(answer.blob)
    pipe.flush()


def read_answer(pipe: IO[bytes]) -> Answer:
    """Wait for an answer; raise EOFError when the process with the module has gone."""
    kind, connected, n_document, n_blob = HEAD.unpack(_exactly(pipe, HEAD.size))
    return Answer(Kind(kind), _exactly(pipe, n_document), _exactly(pipe, n_blob), connected)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    chunk = pipe.read(length)
    if len(chunk) != length:
        raise EOFError(f"the pipe ended after {len(chunk)} of {length} bytes")
    return chunk
