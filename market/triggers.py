"""Triggers that keep the blocks of bars true, whoever writes the rows.

Code of ours that forgot to drop a block would be found by a test; the admin, a shell or another program would not. So
the database itself deletes the block of every row that is inserted, changed or deleted, in the transaction that does
it. What is left are ways around triggers as such, all of them deliberate: ``ALTER TABLE … DISABLE TRIGGER`` and
``session_replication_role`` on PostgreSQL, and editing SQLite's own schema table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import NotSupportedError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table
from django.db.models import BaseConstraint, Model

BLOCKS = "market_seriesblock"
IN_STEP = ("read committed", "read uncommitted")  # isolation levels at which a trigger sees what was just committed


class DropsBlocks(BaseConstraint):
    """A rule of a table of bars: who changes a row deletes the block that holds it.

    It is a constraint so that it shares the table's fate: a migration that makes the table anew on SQLite, which
    deletes triggers without a word, makes these again. Making them empties the blocks of the table's kind, because
    nobody watched the rows before.

    Parameters
    ----------
    kind : {"rates", "klines"}
    block_ms : mapping of str to int
        How long the blocks of each interval are. Part of the migration: another grid is another constraint.
    name : str
    """

    def __init__(self, *, kind: str, block_ms: Mapping[str, int], name: str, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.kind = kind
        self.block_ms = dict(block_ms)

    def __eq__(self, other: object) -> bool:
        return self.deconstruct() == other.deconstruct() if isinstance(other, DropsBlocks) else NotImplemented

    __hash__ = BaseConstraint.__hash__

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, kwargs | {"kind": self.kind, "block_ms": self.block_ms}

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        """Have the triggers made after the table, whose definition they are no part of."""
        schema_editor.deferred_sql.extend(self._statements(model, schema_editor))

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        return ";\n".join(map(str, self._statements(model, schema_editor)))

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        """PostgreSQL's alone: SQLite makes the table anew, without them."""
        return f"DROP FUNCTION {self.name}() CASCADE"

    def validate(self, *args: Any, **options: Any) -> None:
        """Refuse no row: the rule is about blocks."""

    def _statements(self, model: type[Model], schema_editor: BaseDatabaseSchemaEditor) -> Iterator[Statement]:
        vendor = schema_editor.connection.vendor
        if vendor not in ("sqlite", "postgresql"):
            raise NotSupportedError(f"blocks of bars need SQLite or PostgreSQL, the database was {vendor}")
        texts = self._sqlite() if vendor == "sqlite" else self._postgresql()
        # A statement that knows its table is rewritten when Django renames the table that it has made anew.
        table = Table(model._meta.db_table, schema_editor.quote_name)
        for text in (f"DELETE FROM {BLOCKS} WHERE kind = '{self.kind}'", *texts):  # noqa: S608  # our own names
            yield Statement(text, table=table)

    def _number(self, row: str) -> str:
        """Return the number of a row's block in SQL; NULL, which equals no number, for an interval without blocks."""
        cases = " ".join(f"WHEN '{name}' THEN {length}" for name, length in self.block_ms.items())
        return f'{row}open_ms / CASE {row}"interval" {cases} END'

    def _sqlite(self) -> Iterator[str]:
        """Yield a trigger for each way in which a row comes, changes or goes, one row at a time.

        ``INSERT OR REPLACE`` and ``UPDATE OR REPLACE`` delete a row whose id is taken without firing the trigger of
        deletes, hence the two ``BEFORE``. Triggers of named columns cost an upsert, which sets others, nothing.
        """
        at = 'kind = \'{kind}\' AND symbol = {row}symbol AND "interval" = {row}"interval" AND number = {number}'
        new, old = (at.format(kind=self.kind, row=row, number=self._number(row)) for row in ("NEW.", "OLD."))
        taken = (
            f"kind = '{self.kind}' AND (symbol, \"interval\", number) IN "  # noqa: S608  # our own names
            f'(SELECT symbol, "interval", {self._number("")} FROM %(table)s WHERE id = NEW.id)'
        )
        events = {
            "inserted": ("AFTER INSERT", "", new),
            "updated": ("AFTER UPDATE", "", new),
            "moved": ('AFTER UPDATE OF symbol, "interval", open_ms', "", old),
            "deleted": ("AFTER DELETE", "", old),
            "replaced": ("BEFORE INSERT", "WHEN EXISTS (SELECT 1 FROM %(table)s WHERE id = NEW.id)", taken),
            "displaced": ("BEFORE UPDATE OF id, rowid, oid, _rowid_", "WHEN NEW.id IS NOT OLD.id", taken),
        }
        for event, (moment, condition, which) in events.items():
            yield (
                f"CREATE TRIGGER {self.name}_{event} {moment} ON %(table)s {condition} "  # noqa: S608  # our own names
                f"BEGIN DELETE FROM {BLOCKS} WHERE {which}; END"
            )

    def _postgresql(self) -> Iterator[str]:
        """Yield one function and its triggers, which see all rows of a statement at once.

        The lock, shared by writers, is the one that a reader holds alone while it makes blocks from rows
        (``market.blocks``): it waits for none, and a writer that comes while it works deletes its blocks afterwards.
        That needs the writer to see them, which a transaction with a snapshot of its own would not.
        """
        levels = ", ".join(f"'{level}'" for level in IN_STEP)
        yield (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "  # noqa: S608
            f"IF current_setting('transaction_isolation') NOT IN ({levels}) THEN RAISE EXCEPTION USING MESSAGE = "
            "'bars are written at the isolation level read committed, this one was '"
            " || current_setting('transaction_isolation'); END IF; "
            f"IF TG_OP = 'TRUNCATE' THEN DELETE FROM {BLOCKS} WHERE kind = '{self.kind}'; RETURN NULL; END IF; "
            f"PERFORM pg_advisory_xact_lock_shared({series_lock(repr(self.kind))}) FROM "
            '(SELECT DISTINCT symbol, "interval" FROM touched ORDER BY 1, 2) AS series; '
            f"DELETE FROM {BLOCKS} AS block USING "
            f'(SELECT DISTINCT symbol, "interval", {self._number("")} AS number FROM touched) AS hit '
            f"WHERE block.kind = '{self.kind}' AND block.symbol = hit.symbol "
            'AND block."interval" = hit."interval" AND block.number = hit.number; '
            "RETURN NULL; END $body$"
        )
        events = {
            "inserted": ("AFTER INSERT", "REFERENCING NEW TABLE AS touched"),
            "updated": ("AFTER UPDATE", "REFERENCING NEW TABLE AS touched"),
            "moved": ("AFTER UPDATE", "REFERENCING OLD TABLE AS touched"),
            "deleted": ("AFTER DELETE", "REFERENCING OLD TABLE AS touched"),
            "emptied": ("BEFORE TRUNCATE", ""),
        }
        for event, (moment, rows) in events.items():
            yield (
                f"CREATE TRIGGER {self.name}_{event} {moment} ON %(table)s {rows} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {self.name}()"
            )


def series_lock(kind: str) -> str:
    """Return PostgreSQL's key of the advisory lock of a series: SQL over columns ``symbol`` and ``interval``."""
    return f"hashtextextended({kind} || ' ' || symbol || ' ' || \"interval\", 0)"
