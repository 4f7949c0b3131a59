"""Leases with fencing tokens: at most one holder, and a late one is recognised by its token."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models, transaction

from ops import clock
from ops.boot import boot_id
from ops.errors import DeskError, ExitCode
from ops.models import Lease


class LeaseTakenError(DeskError):
    """Somebody else holds the lease and is alive."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in our hands."""

    name: str
    holder: str
    token: int


def acquire(name: str, *, holder: str, ttl_s: float) -> Held:
    """Take the lease if it is free, expired or already ours; the token grows with every acquisition.

    Raises
    ------
    LeaseTakenError
        Names the holder and the seconds until it expires.
    """
    with transaction.atomic():
        lease, _ = Lease.objects.select_for_update().get_or_create(name=name)
        remaining = lease.expires_mono - clock.mono() if lease.boot == boot_id() else 0.0
        if remaining > 0 and lease.holder not in ("", holder):
            raise LeaseTakenError(f"{name} is held by {lease.holder} for another {remaining:.0f} s")
        lease.holder, lease.token, lease.boot = holder, lease.token + 1, boot_id()
        lease.expires_mono = clock.mono() + ttl_s
        lease.save(update_fields=["holder", "token", "boot", "expires_mono"])
    return Held(name=name, holder=holder, token=lease.token)


def renew(held: Held, *, ttl_s: float) -> bool:
    """Lengthen a lease that is still ours; False means that somebody took it over."""
    return bool(_ours(held).update(expires_mono=clock.mono() + ttl_s))


def release(held: Held) -> None:
    """Give the lease back; its token stays spent."""
    _ours(held).update(holder="", expires_mono=0.0)


def is_held(held: Held) -> bool:
    """Return whether the lease is ours and has not expired."""
    return _ours(held).filter(boot=boot_id(), expires_mono__gt=clock.mono()).exists()


def _ours(held: Held) -> models.QuerySet[Lease]:
    return Lease.objects.filter(name=held.name, holder=held.holder, token=held.token)
