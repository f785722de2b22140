"""The dashboard in a real browser: what it shows, what it changes, and what it says when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESK, PHONE, SCREENSHOTS, a_browser, a_page, file_with, needs_browser
from playwright.sync_api import Browser, Page, expect

from http_client import Http
from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy

pytestmark = needs_browser

PAGES = ("names", "tree", "name/lab.camera", "register", "nodes", "graphs")
MANY = 100_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NameServer, Http]]:
    """A server with 100,000 names, for tests that leave nothing behind."""
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers("--http", ":0", storage=file_with(tmp_path_factory.mktemp("many") / "names.sqlite", MANY))
        yield server, Http(server)


def open_page(page: Page, http: Http, where: str) -> None:
    page.goto(f"{http.url}/#/{where}")
    expect(page.locator("#connection")).to_have_text("live")


def names_in(page: Page) -> list[str]:
    return page.locator(".names tbody th").all_inner_texts()


def a_lab(http: Http) -> None:
    """Ten names."""
    for number in range(1, 7):
        http.put(f"lab.sensor.{number}", f"PYRO:sensor{number}@10.0.0.{number}:4444", tags=["sensor"])
    http.put("lab.camera", "PYRO:camera@10.0.0.7:4444", tags=["indoor"], lease=300)
    http.put("lab", "PYRO:hall@10.0.0.8:4444")
    http.put("office.printer", "PYRO:printer@10.0.0.9:4444")


# Names and tree


def test_ten_names_are_searched_and_sorted(page: Page, http: Http):
    a_lab(http)
    open_page(page, http, "names")
    expect(page.locator(".where")).to_have_text("1 to 10 of 10")
    page.get_by_label("Search").fill("CAMERA")
    expect(page.locator(".where")).to_have_text("no names")
    page.get_by_label("Search").fill("camera")
    expect(page.locator(".where")).to_have_text("1 to 1 of 1")
    assert names_in(page) == ["lab.camera"]
    page.get_by_label("Search").fill("lab.")
    expect(page.locator(".where")).to_have_text("1 to 7 of 7")
    page.get_by_role("button", name="URI").click()
    expect(page.locator(".names tbody th").first).to_have_text("lab.camera")
    page.get_by_role("button", name="URI").click()
    expect(page.locator(".names tbody th").first).to_have_text("lab.sensor.6")
    page.get_by_label("Name", exact=True).select_option("has the tag")
    page.get_by_label("Search").fill("indoor")
    expect(page.locator(".where")).to_have_text("1 to 1 of 1")
    page.get_by_label("Name", exact=True).select_option("matches the regular expression")
    page.get_by_label("Search").fill("lab.(")
    expect(page.get_by_role("alert")).to_contain_text("position 4")


def test_a_search_is_kept_in_the_address(page: Page, http: Http):
    a_lab(http)
    open_page(page, http, "names")
    page.get_by_label("Search").fill("sensor")
    expect(page.locator(".where")).to_have_text("1 to 6 of 6")
    page.reload()
    expect(page.locator(".where")).to_have_text("1 to 6 of 6")


def test_a_hundred_thousand_names_are_searched_sorted_and_paged(page: Page, many: tuple[NameServer, Http]):
    open_page(page, many[1], "names")
    expect(page.locator(".where")).to_have_text("1 to 50 of 100,001")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".where")).to_have_text("51 to 100 of 100,001")
    assert names_in(page)[0] == "lab000.sensor.49"
    page.get_by_role("button", name="Previous").click()
    expect(page.locator(".where")).to_have_text("1 to 50 of 100,001")
    page.get_by_role("button", name="Name").click()
    expect(page.locator(".names tbody th").first).to_have_text("lab999.sensor.99")
    page.get_by_label("Search").fill("77.sensor.3")
    expect(page.locator(".where")).to_have_text("1 to 50 of 100")
    assert page.locator(".names tbody tr").count() == 50
    page.screenshot(path=SCREENSHOTS / "names-100000.png")


def test_the_tree_opens_branch_by_branch(page: Page, http: Http):
    a_lab(http)
    open_page(page, http, "tree")
    page.get_by_role("button", name="lab.").press("Enter")
    page.get_by_role("button", name="sensor.").press("Enter")
    expect(page.get_by_role("link", name="6")).to_be_visible()
    page.get_by_role("button", name="lab.").press("Enter")
    expect(page.get_by_role("link", name="6")).to_be_hidden()
    page.get_by_role("link", name="lab").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lab")


def test_the_tree_of_a_hundred_thousand_names_loads_what_is_opened(page: Page, many: tuple[NameServer, Http]):
    open_page(page, many[1], "tree")
    expect(page.locator(".tree > li")).to_have_count(201)  # 200 and "More"
    page.get_by_role("button", name="lab007.").click()
    page.get_by_role("button", name="sensor.").click()
    expect(page.get_by_role("link", name="99")).to_have_attribute("href", "#/name/lab007.sensor.99")
    page.get_by_role("button", name="More").click()
    expect(page.locator(".tree > li")).to_have_count(401)
    expect(page.get_by_role("link", name="99")).to_be_visible()


@pytest.mark.parametrize("name", ["a/b ü%?#&", "=x", "..", "", "<b>bold</b>\n"])
def test_any_text_is_a_name(page: Page, http: Http, name: str):
    http.put(name, "PYRO:odd@h:1")
    open_page(page, http, "names")
    page.locator(".names tbody tr", has_text="PYRO:odd@h:1").get_by_role("link").click()
    expect(page.locator("dd").first).to_have_text("PYRO:odd@h:1")


# Live


def test_changes_on_the_wire_are_shown_as_they_come(page: Page, both: tuple[NameServer, Http]):
    server, http = both
    a_lab(http)
    open_page(page, http, "names")
    expect(page.locator(".where")).to_have_text("1 to 10 of 10")
    with Proxy(server.uri) as proxy:
        proxy.register("aaa.new", "PYRO:new@h:1")
        expect(page.locator(".names tbody th").nth(1)).to_have_text("aaa.new")
        proxy.remove("aaa.new")
        expect(page.locator(".where")).to_have_text("1 to 10 of 10")
        page.goto(f"{http.url}/#/tree")
        proxy.register("bbb.new", "PYRO:new@h:1")
        expect(page.get_by_role("button", name="bbb.")).to_be_visible()


def test_changes_are_shown_among_a_hundred_thousand_names(page: Page, many: tuple[NameServer, Http]):
    server, http = many
    open_page(page, http, "names")
    expect(page.locator(".where")).to_have_text("1 to 50 of 100,001")
    with Proxy(server.uri) as proxy:
        proxy.register("aaa.new", "PYRO:new@h:1")
        expect(page.locator(".where")).to_have_text("1 to 50 of 100,002")
        proxy.remove("aaa.new")
        expect(page.locator(".where")).to_have_text("1 to 50 of 100,001")


def test_a_lost_connection_is_said_and_comes_back_and_what_is_typed_stays(
    page: Page, serve: NameServers, tmp_path: Path
):
    storage = f"sql:{tmp_path / 'names.sqlite'}"
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


def test_a_record_tells_its_lease_who_registered_it_and_its_history(page: Page, both: tuple[NameServer, Http]):
    server, http = both
    with Proxy(server.uri) as proxy:
        proxy.register("lab.camera", "PYRO:camera@h:1", metadata=["old"])
    http.put("lab.camera", "PYRO:camera@h:2", tags=["indoor"], lease=300)
    open_page(page, http, "name/lab.camera")
    shown = page.get_by_role("region", name="Record", exact=True)
    expect(shown).to_contain_text("PYRO:camera@h:2")
    expect(shown).to_contain_text("indoor")
    expect(shown).to_contain_text("not probed")
    expect(shown).to_contain_text(re.compile(r"by net:127\.0\.0\.1 from 127\.0\.0\.1:\d+"))
    left = page.locator("[data-ends]")
    expect(left).to_have_text(re.compile(r"4 min 5\d s"))
    first = left.inner_text()
    expect(left).not_to_have_text(first)  # it counts down
    expect(page.get_by_role("row").filter(has_text="register")).to_have_count(2)
    with Proxy(server.uri) as proxy:
        proxy.remove("lab.camera")
    expect(page.get_by_text("There is no such name now.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="remove")).to_have_count(1)


def test_a_record_of_an_earlier_run_says_that_it_is_not_remembered(page: Page, many: tuple[NameServer, Http]):
    open_page(page, many[1], "name/lab500.sensor.50")
    expect(page.get_by_text("not remembered")).to_be_visible()


def test_the_name_server_itself_cannot_be_changed(page: Page, http: Http):
    open_page(page, http, "name/Pyro.NameServer")
    expect(page.locator("dd").first).to_contain_text("PYRO:Pyro.NameServer@")
    expect(page.get_by_role("button", name="Remove")).to_be_hidden()


# Changing


def test_a_name_is_registered_tagged_and_removed_by_keyboard_alone(page: Page, http: Http):
    open_page(page, http, "names")
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
    for text in ("lab.new", "PYRO:new@h:1", "b\na"):
        press("Tab")
        page.keyboard.insert_text(text)
    tab_to("Register")
    press("Enter")
    expect(page.get_by_text("Registered:")).to_be_visible()
    assert http.get("/api/v1/names/lab.new").json["tags"] == ["a", "b"]
    tab_to("lab.new")
    press("Enter")
    expect(page.get_by_label("Tags", exact=True)).to_have_value("a\nb")
    press("Tab")
    press("Control+End")
    page.keyboard.insert_text("\nc")
    tab_to("Save tags")
    press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert http.get("/api/v1/names/lab.new").json["tags"] == ["a", "b", "c"]
    tab_to("Remove")
    press("Enter")
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert http.get("/api/v1/names/lab.new").status == 200
    press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Remove lab.new?")
    tab_to("Remove")
    press("Enter")
    expect(page.get_by_text("There is no such name now.")).to_be_visible()
    assert http.get("/api/v1/names/lab.new").status == 404


def test_of_two_browsers_the_second_sees_both_versions_and_decides(browser: Browser, page: Page, http: Http):
    http.put("lab.camera", tags=["old"])
    with a_page(browser) as other:
        for one in (page, other):
            open_page(one, http, "name/lab.camera")
            expect(one.get_by_label("Tags", exact=True)).to_have_value("old")
        page.get_by_label("Tags", exact=True).fill("mine")
        other.get_by_label("Tags", exact=True).fill("theirs")
        other.get_by_role("button", name="Save tags").click()
        expect(other.get_by_text("Saved.")).to_be_visible()
        page.get_by_role("button", name="Save tags").click()
        both = page.get_by_role("row").filter(has_text="mine")
        expect(both).to_contain_text("theirs")
        assert http.get("/api/v1/names/lab.camera").json["tags"] == ["theirs"]
        page.screenshot(path=SCREENSHOTS / "conflict.png", full_page=True)
        page.get_by_role("button", name="Save mine").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert http.get("/api/v1/names/lab.camera").json["tags"] == ["mine"]


def test_a_name_that_is_taken_is_not_replaced_unasked(page: Page, http: Http):
    http.put("lab.camera", "PYRO:theirs@h:1")
    open_page(page, http, "register")
    page.get_by_label("Name").fill("lab.camera")
    page.get_by_label("URI").fill("PYRO:mine@h:1")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("row").filter(has_text="PYRO:mine@h:1")).to_contain_text("PYRO:theirs@h:1")
    page.get_by_role("button", name="Take theirs").click()
    expect(page.get_by_text("Left as it is")).to_be_visible()
    assert http.get("/api/v1/names/lab.camera").json["uri"] == "PYRO:theirs@h:1"


def test_what_the_server_refuses_is_said_in_its_words(page: Page, http: Http):
    open_page(page, http, "register")
    page.get_by_label("Name").fill("lab.camera")
    page.get_by_label("URI").fill("camera")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("alert")).to_contain_text("'camera'")


def test_a_read_only_server_refuses_changes_in_words(page: Page, serve: NameServers, tmp_path: Path):
    storage = file_with(tmp_path / "names.sqlite", 1)
    http = Http(serve("--http", ":0", "--read-only", storage=storage))
    open_page(page, http, "name/lab000.sensor.00")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("alert").filter(has_text="Not removed")).to_contain_text("read-only")
    assert http.get("/api/v1/names/lab000.sensor.00").status == 200


# Nodes and graphs


def test_nodes_and_storage_are_told(page: Page, many: tuple[NameServer, Http]):
    server, http = many
    open_page(page, http, "nodes")
    expect(page.get_by_role("row").filter(has_text=server.location)).to_have_count(1)
    main = page.locator("main")
    expect(main).to_contain_text("names.sqlite")
    expect(main).to_contain_text("100,001")


def test_graphs_are_drawn_of_what_happens_while_the_page_is_open(page: Page, both: tuple[NameServer, Http]):
    server, http = both
    open_page(page, http, "graphs")
    rates = page.get_by_role("img", name="Calls per second")
    expect(rates).to_be_visible()
    with Proxy(server.uri) as proxy:
        for _ in range(200):
            proxy.lookup("Pyro.NameServer")
        expect(rates).to_have_attribute("aria-label", re.compile(r"lookups [1-9]"))
    expect(page.get_by_role("img", name="Latency of calls")).to_have_attribute(
        "aria-label", re.compile(r"median [\d.]+ ms")
    )


# Access


def test_a_token_is_asked_for_and_kept_out_of_the_address(page: Page, serve: NameServers, tmp_path: Path):
    token = "token-of-the-dashboard"
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'ops = "{token}"\n')
    tokens.chmod(0o600)
    server = serve("--http", ":0", "--http-tokens", str(tokens))
    http = Http(server, token)
    a_lab(http)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(http.url)
    for wrong in ("a-wrong-token", token):
        expect(page.get_by_role("dialog")).to_have_count(1)
        page.get_by_role("textbox", name="Token").fill(wrong)
        page.get_by_role("button", name="Use it").click()
    expect(page.locator(".where")).to_have_text("1 to 10 of 10")
    expect(page.locator("#connection")).to_have_text("live")
    page.reload()
    expect(page.locator(".where")).to_have_text("1 to 10 of 10")
    assert page.evaluate("Object.values(sessionStorage)") == [token]
    assert page.evaluate("localStorage.length") == 0
    assert addresses
    assert not [address for address in addresses if token in address]


# Everybody


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE)])
def test_axe_finds_no_serious_fault_and_every_page_fits(
    browser: Browser, http: Http, scheme: str, size: dict[str, int]
):
    a_lab(http)
    with a_page(browser, color_scheme=scheme, viewport=size) as page:
        for where in PAGES:
            open_page(page, http, where)
            if where == "tree":
                page.get_by_role("button", name="lab.").click()
                expect(page.get_by_role("button", name="sensor.")).to_be_visible()
            else:
                expect(page.locator(".where, dd, form, figure, dl").first).to_be_visible()
            picture = f"{where.replace('/', '-')}-{scheme}-{size['width']}.png"
            page.screenshot(path=SCREENSHOTS / picture, full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], where
            faults = [
                (fault["id"], [node["target"] for node in fault["nodes"]])
                for fault in Axe().run(page).response["violations"]
                if fault["impact"] in ("serious", "critical")
            ]
            assert faults == [], where
