"""The dashboard in a real browser, with ten names and with 100,000: what it shows, what it changes, and what it says
when something is wrong.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESK, PHONE, SCREENSHOTS, a_browser, a_page, needs_browser
from lab import Lab, a_lab, file_with
from playwright.sync_api import Browser, Page, expect

from etcd_cluster import etcd_program, running, wait_until
from http_client import Http
from processes import NameServers
from pyronym.client.proxy import Proxy

pytestmark = needs_browser

FEW, MANY = 10, 100_000
PAGES = {
    "names": ".names tbody tr",
    "tree": ".tree .branch",
    "name/lab.camera": "section[aria-label=History] table",
    "register": "form",
    "nodes": "dl",
    "graphs": "figure",
}
"""And what is there when all of them is."""
ODD_NAMES = ("a/b ü%?#&", "=x", "..", "", "<b>bold</b>\n")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


@pytest.fixture(scope="module", params=[FEW, MANY])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """How many names there are to be, and a file with them, for copies of it."""
    return request.param, file_with(tmp_path_factory.mktemp("stored") / "names.sqlite", request.param)


@pytest.fixture(scope="module")
def shared(stored: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_lab(tmp_path_factory.mktemp("lab"), *stored) as lab:
        yield lab


@pytest.fixture
def lab(shared: Lab) -> Iterator[Lab]:
    """The server that the tests share, as they have found it."""
    yield shared
    shared.clear()


@pytest.fixture
def storage(stored: tuple[int, Path], tmp_path: Path) -> str:
    """As many names for a server of a test's own."""
    return f"sql:{shutil.copy(stored[1], tmp_path)}"


def open_page(page: Page, http: Http, where: str) -> None:
    page.goto(f"{http.url}/#/{where}")
    expect(page.locator("#connection")).to_have_text("live")


def names_in(page: Page) -> list[str]:
    return page.locator(".names tbody th").all_inner_texts()


# Names and tree


def test_names_are_searched_and_sorted(page: Page, lab: Lab):
    open_page(page, lab.http, "names")
    where, first = page.locator(".where"), page.locator(".names tbody th").first
    expect(where).to_have_text(lab.first_page)
    page.get_by_label("Search").fill("CAMERA")
    expect(where).to_have_text("no names")
    page.get_by_label("Search").fill("camera")
    expect(where).to_have_text("1 to 1 of 1")
    assert names_in(page) == ["lab.camera"]
    page.get_by_label("Search").fill("lab.")
    expect(where).to_have_text("1 to 7 of 7")
    page.get_by_role("button", name="Name").click()
    expect(first).to_have_text("lab.sensor.6")
    page.get_by_role("button", name="URI").click()
    expect(first).to_have_text("lab.camera")
    page.get_by_role("button", name="URI").click()
    expect(first).to_have_text("lab.sensor.6")
    for how, text, found in (("has the tag", "indoor", 1), ("starts with", "lab.sensor", 6), ("contains", "sensor", 6)):
        page.get_by_label("Name", exact=True).select_option(how)
        page.get_by_label("Search").fill(text)
        expect(where).to_have_text(f"1 to {found} of {found}")
    page.get_by_label("Name", exact=True).select_option("matches the regular expression")
    page.get_by_label("Search").fill("lab.(")
    expect(page.get_by_role("alert")).to_contain_text("position 4")


def test_names_are_paged_in_both_directions(page: Page, lab: Lab):
    open_page(page, lab.http, "names")
    where = page.locator(".where")
    expect(where).to_have_text(lab.first_page)
    previous, following = (page.get_by_role("button", name=name) for name in ("Previous", "Next"))
    expect(previous).to_be_disabled()
    if lab.size == FEW:
        expect(following).to_be_disabled()
        assert names_in(page)[-1] == "office.printer"
        return
    following.click()
    expect(where).to_have_text(f"51 to 100 of {lab.total}")
    assert names_in(page)[0] == "rack000.unit.40"
    previous.click()
    expect(where).to_have_text(lab.first_page)
    page.get_by_role("button", name="Name").click()
    expect(page.locator(".names tbody th").first).to_have_text("rack999.unit.89")
    page.get_by_label("Search").fill("77.unit.3")
    expect(where).to_have_text("1 to 50 of 100")
    assert page.locator(".names tbody tr").count() == 50
    page.screenshot(path=SCREENSHOTS / "names-100000.png")


def test_a_search_is_kept_in_the_address(page: Page, lab: Lab):
    open_page(page, lab.http, "names")
    page.get_by_label("Search").fill("sensor")
    expect(page.locator(".where")).to_have_text("1 to 6 of 6")
    page.reload()
    expect(page.locator(".where")).to_have_text("1 to 6 of 6")


def test_the_tree_opens_branch_by_branch(page: Page, lab: Lab):
    open_page(page, lab.http, "tree")
    page.get_by_role("button", name="lab.").press("Enter")
    page.get_by_role("button", name="sensor.").press("Enter")
    expect(page.get_by_role("link", name="6")).to_be_visible()
    page.get_by_role("button", name="lab.").press("Enter")
    expect(page.get_by_role("link", name="6")).to_be_hidden()
    page.get_by_role("link", name="lab").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lab")


def test_the_tree_loads_what_is_opened_in_pages(page: Page, lab: Lab):
    open_page(page, lab.http, "tree")
    places = page.locator(".tree > li")
    if lab.size == FEW:
        expect(places).to_have_count(3)
        return
    expect(places).to_have_count(201)  # 200 and "More"
    page.get_by_role("button", name="rack007.").click()
    page.get_by_role("button", name="unit.").click()
    expect(page.get_by_role("link", name="99")).to_have_attribute("href", "#/name/rack007.unit.99")
    page.get_by_role("button", name="More").click()
    expect(places).to_have_count(401)
    expect(page.get_by_role("link", name="99")).to_be_visible()


def test_any_text_is_a_name(page: Page, lab: Lab):
    try:
        for name in ODD_NAMES:
            lab.http.put(name, f"PYRO:{ODD_NAMES.index(name)}@h:1")
        for name in ODD_NAMES:
            open_page(page, lab.http, "names")
            uri = f"PYRO:{ODD_NAMES.index(name)}@h:1"
            page.locator(".names tbody tr", has_text=uri).get_by_role("link").click()
            expect(page.locator("dd").first).to_have_text(uri)
    finally:
        for name in ODD_NAMES:
            lab.http.name("DELETE", name)


# Live

NO_SECOND_LOOK = "const later = setTimeout; setTimeout = (work, pause) => pause < 5000 && later(work, pause);"
"""A page that is told of nothing does not find out by itself, which takes 5 s and more."""


def test_changes_on_the_wire_are_shown_as_they_come(page: Page, lab: Lab):
    page.add_init_script(NO_SECOND_LOOK)
    open_page(page, lab.http, "names")
    expect(page.locator(".where")).to_have_text(lab.first_page)
    with Proxy(lab.server.uri) as proxy:
        proxy.register("new.wire", "PYRO:new@h:1")
        expect(page.get_by_role("link", name="new.wire")).to_be_visible()
        proxy.remove("new.wire")
        expect(page.get_by_role("link", name="new.wire")).to_be_hidden()
        expect(page.locator(".where")).to_have_text(lab.first_page)
        page.goto(f"{lab.http.url}/#/tree")
        proxy.register("new.branch", "PYRO:new@h:1")
        expect(page.get_by_role("button", name="new.")).to_be_visible()


def test_a_lost_connection_is_said_and_comes_back_and_what_is_typed_stays(page: Page, serve: NameServers, storage: str):
    server = serve("--http", ":0", storage=storage)
    http = Http(server)
    http.put("lab.camera", tags=["indoor"])
    open_page(page, http, "name/lab.camera")
    tags = page.get_by_label("Tags", exact=True)
    expect(tags).to_have_value("indoor")
    tags.fill("indoor\ntyped")
    server.process.kill()
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    page.get_by_role("button", name="Save tags").click()
    expect(page.get_by_role("alert").filter(has_text="Not saved")).to_contain_text("cannot be reached")
    page.screenshot(path=SCREENSHOTS / "connection-lost.png")
    again = serve("--http", http.url.removeprefix("http://"), storage=storage)
    with Proxy(again.uri) as proxy:
        proxy.register("lab.camera", "PYRO:moved@h:1", metadata=["indoor"])
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator("dd").first).to_have_text("PYRO:moved@h:1")
    expect(tags).to_have_value("indoor\ntyped")
    expect(page.get_by_text("has changed while you are editing")).to_be_visible()


# A record


def test_a_record_tells_its_lease_who_registered_it_and_its_history(page: Page, lab: Lab):
    with Proxy(lab.server.uri) as proxy:
        proxy.register("new.camera", "PYRO:camera@h:1", metadata=["old"])
    lab.http.put("new.camera", "PYRO:camera@h:2", tags=["indoor"], lease=3600)
    open_page(page, lab.http, "name/new.camera")
    shown = page.get_by_role("region", name="Record", exact=True)
    expect(shown).to_contain_text("PYRO:camera@h:2")
    expect(shown).to_contain_text("indoor")
    expect(shown).to_contain_text(re.compile(r"\d{4}, [\d:]{8} by net:127\.0\.0\.1 from 127\.0\.0\.1:\d+"))
    left = page.locator("[data-ends]")
    expect(left).to_have_text(re.compile(r"59 min \d+ s"))
    first = left.inner_text()
    expect(left).not_to_have_text(first)  # it counts down
    expect(page.get_by_role("row").filter(has_text="register")).to_have_count(2)
    with Proxy(lab.server.uri) as proxy:
        proxy.remove("new.camera")
    expect(page.get_by_text("There is no such name now.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="remove")).to_have_count(1)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("lab", "alive"),
        ("office.printer", "object unknown"),
        ("lab.sensor.1", "unreachable"),
        ("lab.camera", "not probed"),
    ],
)
def test_a_record_tells_how_the_last_probe_has_found_its_object(page: Page, lab: Lab, name: str, state: str):
    wait_until(lambda: lab.http.name("GET", name).json["state"] == state, "a round of probes has ended")
    open_page(page, lab.http, f"name/{name}")
    expect(page.locator("dd").nth(2)).to_have_text(re.compile(rf"^{state}( for \d.*)?$"))


def test_a_record_of_an_earlier_run_says_that_it_is_not_remembered(page: Page, lab: Lab):
    open_page(page, lab.http, "name/lab.sensor.1")
    expect(page.get_by_text("not remembered")).to_be_visible()


@pytest.mark.skipif(etcd_program() is None, reason="etcd is not installed")
def test_what_another_node_has_changed_is_put_down_to_nobody_here(page: Page, serve: NameServers, tmp_path: Path):
    with running(tmp_path, 1) as cluster:
        here, other = (serve("--http", ":0", storage=cluster.url("dashboard")) for _ in range(2))
        http = Http(here)
        http.put("lab.camera", "PYRO:camera@h:1")
        open_page(page, http, "name/lab.camera")
        registered = page.locator("dd").last
        expect(registered).to_contain_text("by net:127.0.0.1")
        Http(other).put("lab.camera", "PYRO:camera@h:2")
        expect(page.get_by_text("changed by way of another node")).to_be_visible()
        expect(registered).to_contain_text("not remembered")
        http.put("lab.camera", "PYRO:camera@h:3")
        expect(page.get_by_text("changed by way of another node")).to_be_hidden()
        expect(registered).to_contain_text("by net:127.0.0.1")


def test_the_name_server_itself_cannot_be_changed(page: Page, lab: Lab):
    open_page(page, lab.http, "name/Pyro.NameServer")
    expect(page.locator("dd").first).to_contain_text("PYRO:Pyro.NameServer@")
    expect(page.get_by_role("button", name="Remove")).to_be_hidden()


# Changing


def test_a_name_is_registered_tagged_and_removed_by_keyboard_alone(page: Page, lab: Lab):
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    open_page(page, lab.http, "names")
    press = page.keyboard.press

    def tab_to(text: str) -> None:
        for _ in range(40):
            press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == text:
                return
        raise AssertionError(f"Tab does not reach {text!r}")

    tab_to("Register")
    press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    for text in ("new.name", "PYRO:new@h:1", "b\na"):
        press("Tab")
        page.keyboard.insert_text(text)
    tab_to("Register")
    press("Enter")
    expect(page.get_by_text("Registered:")).to_be_visible()
    assert lab.http.name("GET", "new.name").json["tags"] == ["a", "b"]
    tab_to("new.name")
    press("Enter")
    expect(page.get_by_label("Tags", exact=True)).to_have_value("a\nb")
    press("Tab")
    press("Control+End")
    page.keyboard.insert_text("\nc")
    tab_to("Save tags")
    press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert lab.http.name("GET", "new.name").json["tags"] == ["a", "b", "c"]
    tab_to("Remove")
    press("Enter")
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert lab.http.name("GET", "new.name").status == 200
    press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Remove new.name?")
    tab_to("Remove")
    press("Enter")
    expect(page.get_by_text("There is no such name now.")).to_be_visible()
    assert lab.http.name("GET", "new.name").status == 404
    assert sent.count("DELETE") == 1, "Escape is a no"


def test_of_two_browsers_the_second_sees_both_versions_and_decides(browser: Browser, page: Page, lab: Lab):
    lab.http.put("new.camera", tags=["old"])
    with a_page(browser) as other:
        for one in (page, other):
            open_page(one, lab.http, "name/new.camera")
            expect(one.get_by_label("Tags", exact=True)).to_have_value("old")
        page.get_by_label("Tags", exact=True).fill("mine")
        other.get_by_label("Tags", exact=True).fill("theirs")
        other.get_by_role("button", name="Save tags").click()
        expect(other.get_by_text("Saved.")).to_be_visible()
        page.get_by_role("button", name="Save tags").click()
        both = page.get_by_role("row").filter(has_text="mine")
        expect(both).to_contain_text("theirs")
        assert lab.http.name("GET", "new.camera").json["tags"] == ["theirs"]
        page.screenshot(path=SCREENSHOTS / "conflict.png", full_page=True)
        page.get_by_role("button", name="Save mine").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert lab.http.name("GET", "new.camera").json["tags"] == ["mine"]


def register(page: Page, name: str, uri: str) -> None:
    """Fill in the page for that, and send it."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("URI").fill(uri)
    page.get_by_role("button", name="Register").click()


def test_a_name_that_is_taken_is_not_replaced_unasked(page: Page, lab: Lab):
    lab.http.put("new.camera", "PYRO:theirs@h:1")
    open_page(page, lab.http, "register")
    register(page, "new.camera", "PYRO:mine@h:1")
    expect(page.get_by_role("row").filter(has_text="PYRO:mine@h:1")).to_contain_text("PYRO:theirs@h:1")
    page.get_by_role("button", name="Take theirs").click()
    expect(page.get_by_text("Left as it is")).to_be_visible()
    assert lab.http.name("GET", "new.camera").json["uri"] == "PYRO:theirs@h:1"


def test_what_the_server_refuses_is_said_in_its_words(page: Page, lab: Lab):
    open_page(page, lab.http, "register")
    register(page, "new.camera", "camera")
    expect(page.get_by_role("alert")).to_contain_text("'camera'")


READERS = '[[rule]]\nwho = ["anyone"]\nmay = ["read"]\nnames = [""]\n'


@pytest.mark.parametrize(
    ("line", "why"),
    [("read_only = true", "read-only"), ("permissions = '{folder}/readers.toml'", "net:127.0.0.1 may not")],
    ids=["read-only", "without-permission"],
)
def test_whom_the_server_lets_only_read_is_refused_each_change_in_words(page: Page, lab: Lab, line: str, why: str):
    folder = lab.config.parent
    (folder / "readers.toml").write_text(READERS)
    before = lab.http.name("GET", "lab.camera").etag
    with lab.configured(line.format(folder=folder)):
        open_page(page, lab.http, "name/lab.camera")
        page.get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.get_by_role("alert").filter(has_text="Not removed")).to_contain_text(why)
        page.get_by_label("Tags", exact=True).fill("mine")
        page.get_by_role("button", name="Save tags").click()
        expect(page.get_by_role("alert").filter(has_text="Not saved")).to_contain_text(why)
        open_page(page, lab.http, "register")
        register(page, "new.camera", "PYRO:camera@h:1")
        expect(page.get_by_role("alert").filter(has_text="Not registered")).to_contain_text(why)
    assert lab.http.name("GET", "lab.camera").etag == before
    assert lab.http.name("GET", "new.camera").status == 404


# Nodes and graphs


def test_nodes_and_storage_are_told(page: Page, lab: Lab):
    open_page(page, lab.http, "nodes")
    expect(page.get_by_role("row").filter(has_text=lab.server.location)).to_have_count(1)
    main = page.locator("main")
    expect(main).to_contain_text("names.sqlite")
    expect(main).to_contain_text(f"Names{lab.total}")


def test_graphs_are_drawn_of_what_happens_while_the_page_is_open(page: Page, lab: Lab):
    open_page(page, lab.http, "graphs")
    rates = page.get_by_role("img", name="Calls per second")
    expect(rates).to_be_visible()
    with Proxy(lab.server.uri) as proxy:
        for _ in range(200):
            proxy.lookup("Pyro.NameServer")
        expect(rates).to_have_attribute("aria-label", re.compile(r"lookups [1-9]"))
    latency, names = (page.get_by_role("img", name=name, exact=False) for name in ("Latency of calls", "Names:"))
    expect(latency).to_have_attribute("aria-label", re.compile(r"median [\d.]+ ms"))
    expect(names).to_have_attribute("aria-label", f"Names: names {lab.total}")


# Access


def test_a_token_is_asked_for_and_kept_out_of_the_address(
    page: Page, serve: NameServers, stored: tuple[int, Path], storage: str, tmp_path: Path
):
    token = "token-of-the-dashboard"
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'ops = "{token}"\n')
    tokens.chmod(0o600)
    http = Http(serve("--http", ":0", "--http-tokens", str(tokens), storage=storage), token)
    shown = re.compile(rf"1 to \d+ of {stored[0]:,}$")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(http.url)
    for wrong in ("a-wrong-token", token):
        expect(page.get_by_role("dialog")).to_have_count(1)
        page.get_by_role("textbox", name="Token").fill(wrong)
        page.get_by_role("button", name="Use it").click()
    expect(page.locator(".where")).to_have_text(shown)
    expect(page.locator("#connection")).to_have_text("live")
    page.reload()
    expect(page.locator(".where")).to_have_text(shown)
    assert page.evaluate("Object.values(sessionStorage)") == [token]
    assert page.evaluate("localStorage.length") == 0
    assert addresses
    assert not [address for address in addresses if token in address]


# Everybody


@pytest.mark.parametrize("where", PAGES)
def test_axe_finds_no_serious_fault_and_every_page_fits(page: Page, lab: Lab, where: str):
    open_page(page, lab.http, where)
    expect(page.locator(PAGES[where]).first).to_be_visible()
    if where == "tree":
        page.get_by_role("button", name="lab.").click()
        expect(page.get_by_role("button", name="sensor.")).to_be_visible()
    backgrounds = set()
    for scheme, size in (("light", DESK), ("dark", PHONE)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        picture = f"{where.replace('/', '-')}-{lab.size}-{scheme}-{size['width']}.png"
        page.screenshot(path=SCREENSHOTS / picture, full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert serious_faults(page) == [], scheme
    assert len(backgrounds) == 2


def serious_faults(page: Page) -> list[tuple[str, list[str]]]:
    """What axe finds, and where."""
    return [
        (fault["id"], [node["target"] for node in fault["nodes"]])
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
