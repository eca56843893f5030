"""What the pages say and the code can be asked about: models, codes, settings, commands, files, dependencies."""

import re
from urllib.parse import unquote

import pytest
from django.core.management import get_commands

from backoffice.configuration import Configuration
from backoffice.documents import documents
from jobs.declare import load_actors
from tests import architecture as house

PAGES = house.pages()


def names(pages):
    return [house.name_of(page) for page in pages]


def test_every_model_is_in_the_glossary():
    glossary = (house.DOCS / "glossary.md").read_text()
    assert [model.__name__ for model in house.our_models() if f"`{model.__name__}`" not in glossary] == []


def test_every_refusal_s_code_is_explained_once_in_the_api_s_page():
    rows = [
        line.split("|")[1]
        for line in (house.DOCS / "api.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    explained = [code for row in rows for code in re.findall(r"`([A-Z_]+)`", row)]
    assert sorted(explained) == sorted({refusal.code for refusal in house.refusals()})


def test_every_requirement_has_its_line_and_every_line_its_requirement():
    explained = house.words_of(house.DOCS / "dependencies.md", r"(?m)^\| `([^`]+)` \|")
    assert explained == house.requirements()


def test_every_metric_is_in_the_operators_page():
    declared = re.compile(r"\b(?:Counter|Histogram|gauge|Vital)\(\s*(?:name=)?\"([a-z_]+)\"")
    known = {name for path in house.sources() for name in declared.findall(path.read_text())}
    named = house.words_of(house.DOCS / "operations.md", r"(?m)^\| `([a-z_]+)` \|")
    assert "jobs_total" in known
    assert named == known


def test_every_decision_is_numbered_without_a_gap_and_listed():
    files = sorted(path.name for path in (house.DOCS / "decisions").glob("0*.md"))
    assert [int(name[:4]) for name in files] == list(range(1, len(files) + 1))
    index = (house.DOCS / "decisions" / "README.md").read_text()
    assert [name for name in files if f"({name})" not in index] == []


def test_every_page_is_in_the_index():
    index = (house.DOCS / "README.md").read_text()
    assert [
        path.name
        for path in house.DOCS.glob("*.md")
        if path.name != "README.md" and f"({path.name})" not in index
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_what_a_page_links_to_or_shows_exists(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text()) + re.findall(r'src="([^"]+)"', page.read_text())
    for link in links:
        target, _, heading = unquote(link).partition("#")
        if target.startswith(("http:", "https:")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if heading:
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text())
            assert heading in {
                re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in headings
            }, link


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_a_command_that_a_page_names_exists(page):
    text = page.read_text()
    assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= set(get_commands())
    targets = set(re.findall(r"(?m)^([a-z]+):", (house.ROOT / "Makefile").read_text()))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_a_file_module_or_actor_that_a_page_names_exists(page):
    """`backoffice/wake.py` and `trades.record_bought` go stale silently otherwise."""
    text = page.read_text()
    top = {*house.PACKAGES, "fixtures", "tests", "docs", "requirements"}
    for path in re.findall(rf"`((?:{'|'.join(sorted(top))})/[\w./*-]+)`", text):
        assert any(house.ROOT.glob(path.rstrip("/"))), path
    actors = {actor.actor_name for actor in every_actor()}
    queues = "|".join({name.partition(".")[0] for name in actors})
    for name in re.findall(rf"`((?:{queues})\.\w+)`", text):
        is_module = any((house.ROOT / name.replace(".", "/")).parent.glob(f"{name.partition('.')[2]}*"))
        assert name in actors or is_module, name
    everything = code()
    for module, function in re.findall(
        r"`(?:\w+\.)*(accounts|trades|placing|execution|reconciliation|holds|journal|sessions|keys|sequencer|scheduler|pricing)\.(\w+)`",
        text,
    ):
        assert re.search(rf"(?m)^((def|class|async def) )?{function}\b", everything[module]), (
            f"{module}.{function}"
        )


def every_actor():
    import dramatiq

    load_actors()
    return dramatiq.get_broker().actors.values()


def code():
    """The text of all modules of one name together: `accounts` is a module of two packages."""
    found: dict[str, str] = {}
    for path in house.sources():
        found[path.stem] = found.get(path.stem, "") + path.read_text()
    return found


def test_a_setting_that_a_page_names_exists():
    settings = {name.upper() for name in Configuration.model_fields}
    prefixes = tuple({name.split("_")[0] + "_" for name in settings if "_" in name} - {"EMAIL_", "HOST_"})
    others = {refusal.code for refusal in house.refusals()}
    for page in PAGES:
        for word in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", page.read_text()):
            if word.startswith(prefixes) and word not in others:
                assert word in settings, f"{house.name_of(page)}: {word}"


def test_generated_pages_say_that_they_are():
    for name in documents.names():
        if name.endswith(".md"):
            assert "Generated by `manage.py write_docs`" in documents.get(name)(), name


def test_no_page_speaks_of_a_machine_or_of_another_server():
    for page in PAGES:
        text = page.read_text()
        assert not re.search(r"(?<![\w.])/(home|root|work|usr|opt)/", text), house.name_of(page)
        assert not re.search(r"https?://(?!localhost|127\.0\.0\.1)", text), house.name_of(page)
