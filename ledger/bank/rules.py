"""The matching rule that applies to a bank account, and deposits as matching sees them."""

from ledger.bank.matching import USUAL, Rule, Wanted
from ledger.models import BankAccount, Deposit, MatchingRule


def rule_of(bank_account: BankAccount) -> Rule:
    """The most specific rule in use: of this account, else of its currency, else of all, else the usual one. One query."""
    rows = MatchingRule.objects.filter(is_active=True)
    found = {(row.bank_account_id, row.currency_id): row for row in rows}
    for key in ((bank_account.pk, None), (None, bank_account.currency_id), (None, None)):
        if (row := found.get(key)) is not None:
            return Rule(
                tolerance=row.tolerance, tolerance_rate=row.tolerance_rate, late_days=row.late_days,
                others_may_pay=row.others_may_pay, matches_by_name=row.matches_by_name,
            )  # fmt: skip
    return USUAL


def wanted_of(row: Deposit) -> Wanted:
    """A deposit as matching sees it; fetch it with its client."""
    return Wanted(
        id=row.pk, reference=row.reference, amount=row.amount, state=row.state, client_name=row.client.name,
        ended_on=None if row.is_open else row.changed_at.date(),
    )  # fmt: skip
