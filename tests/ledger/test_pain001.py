"""Files for the bank: valid by the schemas of ISO 20022 as another library carries them, and the same to the last byte."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sepaxml
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.pain001 import VERSIONS, File, Party, Transfer, plain, written

SCHEMAS = Path(sepaxml.__file__).parent / "schemas"
HOUSE = Party("Nexus Markets Ltd", "DE89370400440532013000", "COBADEFFXXX")


def file(*transfers: Transfer, version: str = "001.09", currency: str = "EUR") -> File:
    return File(
        version=version, message_id="NX20261121-1-1", made_at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        pay_on=date(2026, 11, 21), currency=currency, payer=HOUSE, transfers=transfers,
    )  # fmt: skip


def transfer(
    amount: str = "250.00",
    name: str = "Amina Odhiambo",
    text: str = "NX-7K3D-9Q2P",
    number: int = 1,
    bic: str = "",
) -> Transfer:
    return Transfer(f"NX{number:032x}", Decimal(amount), Party(name, "NL91ABNA0417164300", bic), text)


@pytest.fixture(scope="module")
def schemas():
    return {
        version: xmlschema.XMLSchema(str(SCHEMAS / f"pain.001.{version[:3]}.{version[4:]}.xsd"))
        for version in VERSIONS
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("bic", ["", "ABNANL2A"])
def test_a_file_is_valid_by_the_schema_of_its_version(schemas, version, bic):
    body = written(file(transfer(bic=bic), transfer("0.01", number=2), version=version))
    assert schemas[version].is_valid(body.decode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from(list(VERSIONS)),
    rows=st.lists(
        st.tuples(st.decimals("0.01", "999999999.99", places=2), st.text(max_size=90), st.text(max_size=200)),
        min_size=1,
        max_size=5,
    ),
)
def test_whatever_people_are_called_the_file_is_valid_and_its_sums_are_those_of_its_transfers(
    schemas, version, rows
):
    made = [transfer(f"{amount}", name, text, number) for number, (amount, name, text) in enumerate(rows)]
    body = written(file(*made, version=version))
    schemas[version].validate(body.decode())
    space = {"p": VERSIONS[version]}
    root = ET.fromstring(body)
    amounts = [Decimal(node.text) for node in root.iterfind(".//p:InstdAmt", space)]
    assert amounts == [one.amount for one in made]
    assert {Decimal(node.text) for node in root.iterfind(".//p:CtrlSum", space)} == {sum(amounts)}
    assert {int(node.text) for node in root.iterfind(".//p:NbOfTxs", space)} == {len(made)}
    assert body == written(file(*made, version=version))


def test_names_are_written_in_the_signs_that_every_bank_takes():
    assert plain("Jürgen Müßig & Søn, Łódź", 70) == "Jurgen Mussig + Son, Lodz"
    assert plain("О́льга", 70) == "-" and plain("x" * 80, 70) == "x" * 70


def test_an_id_that_a_bank_would_not_take_is_refused_and_so_is_a_file_of_nothing():
    with pytest.raises(ValueError, match="at least one"):
        written(file())
    for wrong in ("", "x" * 36, "NX_1", "NX//1", "/NX"):
        with pytest.raises(ValueError, match="no id"):
            written(file(Transfer(wrong, Decimal("1.00"), HOUSE, "text")))
