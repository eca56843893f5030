"""Status reports of banks: what they reject has failed, what they take is with the bank, and nothing is confirmed by one."""

import pytest

from backoffice.models import Event
from ledger import batches, pain002
from ledger.bank.lines import FileBroken, FileForbidden, FileTooLarge, FileUnknown
from ledger.models import Payment
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
SPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.{}"


def report(message_id, *, group="", block="", payments=(), version="03"):
    """A report in the words of the message definition: each payment as (end-to-end id, status, code, text)."""
    told = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{name}</OrgnlEndToEndId><TxSts>{status}</TxSts><StsRsnInf><Rsn><Cd>{code}</Cd></Rsn>"
        f"<AddtlInf>{text}</AddtlInf></StsRsnInf></TxInfAndSts>"
        for name, status, code, text in payments
    )  # fmt: skip
    return (
        f"<Document xmlns='{SPACE.format(version)}'><CstmrPmtStsRpt><GrpHdr><MsgId>S-1</MsgId></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
        f"{f'<GrpSts>{group}</GrpSts>' if group else ''}</OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>P</OrgnlPmtInfId>"
        f"{f'<PmtInfSts>{block}</PmtInfSts>' if block else ''}{told}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    ).encode()


@pytest.fixture
def sealed():
    """A sealed file of three payments of one client; the client."""
    client = paying.funded("1000.00")
    paying.nothing_is_odd()
    paying.policy(0)
    for amount in ("10.00", "20.00", "30.00"):
        paying.withdrawal(client, amount)
    batch = Payment.objects.first().batch
    batches.seal(batch, by=BY, at=NOW)
    return client, batches.write(batch, now=lambda: NOW)


def take(content):
    return batches.take_report(content, by=BY, at=NOW)


def states():
    return list(Payment.objects.order_by("id").values_list("state", flat=True))


@pytest.mark.parametrize("version", ["03", "10"])
def test_what_the_bank_rejects_is_in_the_wallet_again_with_its_reason_and_the_rest_is_with_the_bank(
    sealed, version
):
    client, batch = sealed
    second = batch.payments.order_by("id")[1]
    content = report(
        batch.message_id,
        group="PART",
        payments=[(second.end_to_end_id, "RJCT", "AC04", "closed")],
        version=version,
    )
    done = take(content)
    assert (done.rejected, done.taken, done.contradicted, states()) == (1, 0, (), ["sent", "failed", "sent"])
    assert desk.in_wallet(client) == 1000 - 40
    second.refresh_from_db()
    assert second.problem_code == "AC04"
    assert (
        second.withdrawal.told
        == "It could not be paid: the account is closed. Your money is available again."
    )
    assert (take(content).rejected, states()) == (1, ["sent", "failed", "sent"])
    assert Event.objects.filter(name="payment.failed").count() == 1 and desk.in_wallet(client) == 1000 - 40


@pytest.mark.parametrize("where", ["group", "block"])
def test_a_file_rejected_as_a_whole_pays_nothing(sealed, where):
    client, batch = sealed
    assert take(report(batch.message_id, **{where: "RJCT"})).rejected == 3
    assert (states(), desk.in_wallet(client)) == (["failed"] * 3, 1000)


def test_a_file_that_is_taken_confirms_nothing(sealed):
    client, batch = sealed
    done = take(report(batch.message_id, group="ACSC"))
    assert (done.taken, states(), done.batch.state, desk.in_wallet(client)) == (3, ["sent"] * 3, "sent", 940)


def test_a_no_to_what_was_paid_is_told_and_changes_nothing(sealed):
    from ledger import payments

    client, batch = sealed
    batches.mark_sent(batch, by=BY, at=NOW)
    first = batch.payments.order_by("id")[0]
    payments.confirm(first, evidence="Statement", by=BY, at=NOW)
    assert take(report(batch.message_id, group="RJCT")).contradicted == (first.end_to_end_id,)
    assert (states(), desk.in_wallet(client)) == (["confirmed", "failed", "failed"], 990)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", FileBroken), (b"<Document", FileBroken), (b"<Document/>", FileUnknown), (b"\xff\xfe\x00", FileBroken),
        (report("X").replace(b"pain.002.001.03", b"pain.001.001.03"), FileUnknown),
        (b'<!DOCTYPE d [<!ENTITY a "b">]><Document/>', FileForbidden),
        (b"<Document xmlns='" + SPACE.format("03").encode() + b"'/>", FileBroken),
        (b" " * (pain002.MOST_BYTES + 1), FileTooLarge),
        (report("NX20200101-1-1"), batches.OtherFile),
    ],
)  # fmt: skip
def test_what_is_no_report_of_a_file_of_ours_is_refused_and_nothing_moves(sealed, content, refusal):
    with pytest.raises(refusal) as found:
        take(content)
    assert found.value.field == "file" and states() == ["sending"] * 3


def test_a_report_about_a_file_that_is_still_open_is_refused():
    client = paying.funded("1000.00")
    paying.nothing_is_odd()
    paying.policy(0)
    batch = paying.withdrawal(client, "10.00").payments.get().batch
    with pytest.raises(batches.MoveNotAllowed):
        take(report(batch.message_id, group="RJCT"))
    assert states() == ["queued"]
