"""A panel takes over new HTML without losing what the person in front of it was doing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import blank_page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ROWS = '<section id="p"><ul>{}</ul></section>'


class Panel:
    """Puts HTML on a page and morphs it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def show(self, html: str) -> None:
        self.page.evaluate("html => { document.body.innerHTML = html }", html)

    def morph(self, html: str) -> str:
        self.page.evaluate("html => morph(document.body.firstElementChild, html)", html)
        return self.page.evaluate("document.body.innerHTML")

    def mark(self, selector: str) -> None:
        """Tag a node, so that it can be told from one made anew."""
        self.page.evaluate("s => { document.querySelector(s).mark = s }", selector)

    def is_same(self, selector: str) -> bool:
        return self.page.evaluate("s => document.querySelector(s)?.mark === s", selector)


@pytest.fixture(scope="module")
def panel(chromium):
    with blank_page(chromium) as page:
        page.evaluate("async () => { window.morph = (await import('/static/js/morph.js')).morph }")
        yield Panel(page)


def rows(*keys: str) -> str:
    return ROWS.format("".join(f'\n<li data-key="{key}"><button id="b{key}">{key}</button></li>' for key in keys))


def test_the_result_is_the_new_html(panel):
    old = '<section id="p" class="a" data-x="1"><p>one</p><p>two</p><table><tr><td>1</td></tr></table></section>'
    table = "<table><tbody><tr><td>2</td><td>3</td></tr></tbody></table>"
    new = f'<section id="p" class="b"><p>uno</p><div>x</div>{table}text</section>'
    panel.show(old)
    assert panel.morph(new) == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("abc", "abcd"),
        ("abc", "dabc"),
        ("abc", "ac"),
        ("abc", "cab"),
        ("abc", ""),
        ("", "abc"),
        ("abcde", "edcba"),
        ("abc", "xyz"),
        ("abcd", "cxa"),
    ],
)
def test_rows_come_go_and_move(panel, before, after):
    panel.show(rows(*before))
    assert panel.morph(rows(*after)) == rows(*after)


@pytest.mark.parametrize("after", ["abc", "bc", "xabc", "cb", "bxyz"])
def test_a_row_that_stays_is_the_same_node_wherever_it_goes(panel, after):
    panel.show(rows(*"abc"))
    panel.mark('[data-key="b"]')
    panel.morph(rows(*after))
    assert panel.is_same('[data-key="b"]')


@pytest.mark.parametrize("after", ["abc", "b", "xyb", "cb", "bxyz"])
def test_focus_stays_on_the_button_of_its_row(panel, after):
    panel.show(rows(*"abc"))
    panel.page.focus("#bb")
    panel.morph(rows(*after))
    assert panel.page.evaluate("document.activeElement.id") == "bb"


@pytest.mark.parametrize("after", ["xbc", "bc", "cb"])
def test_rows_that_come_and_go_around_it_do_not_take_the_focus_away_even_for_a_moment(panel, after):
    panel.show(rows(*"abc"))
    panel.page.focus("#bb")
    panel.page.evaluate("document.activeElement.addEventListener('blur', e => { e.target.blurred = true })")
    panel.morph(rows(*after))
    assert panel.page.evaluate("document.activeElement.blurred ?? false") is False


def test_what_was_typed_and_its_selection_stay(panel):
    form = '<form id="p"><label>{}</label><input name="reason" value="{}"><textarea>{}</textarea></form>'
    panel.show(form.format("1", "", ""))
    panel.page.fill("input", "spread too wide")
    panel.page.fill("textarea", "because")
    panel.page.focus("input")
    panel.page.evaluate("document.querySelector('input').setSelectionRange(3, 7)")
    panel.morph(form.format("2", "", ""))
    assert panel.page.input_value("input") == "spread too wide"
    assert panel.page.input_value("textarea") == "because"
    field = "(({selectionStart: a, selectionEnd: b}) => [a, b])(document.activeElement)"
    assert panel.page.evaluate(field) == [3, 7]
    assert panel.page.text_content("label") == "2"


def test_an_untouched_field_takes_the_new_value(panel):
    panel.show('<form id="p"><input value="old"><textarea>old</textarea></form>')
    panel.morph('<form id="p"><input value="new"><textarea>new</textarea></form>')
    assert panel.page.input_value("input") == "new"
    assert panel.page.input_value("textarea") == "new"


@pytest.mark.parametrize("opened_by_server", [True, False])
def test_details_stay_as_the_person_left_them(panel, opened_by_server):
    details = '<section id="p"><details data-key="BTC"{}><summary>BTC {}</summary>inside</details></section>'
    panel.show(details.format(" open" if opened_by_server else "", 1))
    panel.page.click("summary")
    panel.morph(details.format(" open" if opened_by_server else "", 2))
    assert panel.page.evaluate("document.querySelector('details').open") is not opened_by_server
    assert panel.page.text_content("summary") == "BTC 2"


def test_an_open_dialog_stays_open(panel):
    panel.show('<dialog id="p"><p>3 positions</p></dialog>')
    panel.page.evaluate("document.querySelector('dialog').showModal()")
    panel.morph('<dialog id="p"><p>2 positions</p></dialog>')
    assert panel.page.evaluate("document.querySelector('dialog').matches(':modal')")
    assert panel.page.text_content("dialog") == "2 positions"


def test_a_scrolled_list_does_not_jump(panel):
    box = '<section id="p"><div id="box" style="height:60px;overflow:auto">{}</div></section>'
    lines = [f'<p data-key="{index}" style="height:20px;margin:0">{index}</p>' for index in range(50)]
    panel.show(box.format("".join(lines)))
    panel.page.evaluate("document.querySelector('#box').scrollTop = 400")
    panel.morph(box.format("".join(line.replace("</p>", "!</p>") for line in lines)))
    assert panel.page.evaluate("document.querySelector('#box').scrollTop") == 400


def test_selected_text_stays_selected(panel):
    html = '<section id="p"><p>{}</p><p>id 4711 in the log</p></section>'
    panel.show(html.format("1"))
    panel.page.evaluate(
        "() => { const t = document.querySelectorAll('p')[1].firstChild; getSelection().setBaseAndExtent(t, 3, t, 7) }"
    )
    panel.morph(html.format("2"))
    assert panel.page.evaluate("getSelection().toString()") == "4711"


def test_selected_text_stays_selected_where_it_changes(panel):
    panel.show('<section id="p"><p>age 12 s</p></section>')
    panel.page.evaluate(
        "() => { const t = document.querySelector('p').firstChild; getSelection().setBaseAndExtent(t, 0, t, 6) }"
    )
    panel.morph('<section id="p"><p>age 13 s</p></section>')
    assert panel.page.evaluate("getSelection().toString()") == "age 13"


def test_an_id_that_changes_its_kind_of_element_is_made_anew(panel):
    panel.show('<section id="p"><a id="x">link</a></section>')
    assert panel.morph('<section id="p"><button id="x">act</button></section>').count("x") == 1


def test_what_is_marked_is_left_alone(panel):
    panel.show('<section id="p"><div data-morph="skip">drawn by a script</div></section>')
    assert "drawn by a script" in panel.morph('<section id="p"><div data-morph="skip"></div></section>')


def test_svg_stays_svg(panel):
    svg = '<section id="p"><svg viewBox="0 0 10 10"><path d="{}"></path>{}</svg></section>'
    panel.show(svg.format("M0 0", ""))
    panel.mark("path")
    panel.morph(svg.format("M0 1", '<rect width="1"></rect>'))
    assert panel.is_same("path")
    assert panel.page.evaluate("document.querySelector('rect') instanceof SVGRectElement")


def test_nothing_is_written_when_nothing_changed(panel):
    panel.show(rows(*"abc"))
    watch = """() => {
      window.seen = [];
      const options = {subtree: true, childList: true, attributes: true, characterData: true};
      window.observer = new MutationObserver(records => seen.push(...records));
      observer.observe(document.body, options);
    }"""
    panel.page.evaluate(watch)
    panel.morph(rows(*"abc"))
    assert panel.page.evaluate("observer.takeRecords().length + seen.length") == 0


@pytest.mark.parametrize("html", ["", "text", "<p>one</p><p>two</p>"])
def test_a_panel_with_no_or_two_roots_is_refused(panel, html):
    panel.show('<section id="p">old</section>')
    with pytest.raises(Exception, match="exactly one root"):
        panel.morph(html)


def test_random_lists_always_end_as_the_new_html(panel):
    script = """rows => {
      let seed = 7;
      const random = n => (seed = (seed * 48271) % 2147483647) % n;
      const pick = () => [..."abcdefgh"].filter(() => random(2)).sort(() => random(3) - 1);
      const row = k => random(4) ? `<li data-key="${k}">${random(9)}</li>` : `<li>${k}</li>`;
      const html = keys => `<ul id="p">${keys.map(row).join(" ")}</ul>`;
      for (let round = 0; round < 500; round++) {
        const next = html(pick());
        if (!document.body.firstElementChild) document.body.innerHTML = html(pick());
        morph(document.body.firstElementChild, next);
        if (document.body.innerHTML !== next) return [round, document.body.innerHTML, next];
      }
      return null;
    }"""
    panel.show(rows(*"abc").replace("section", "ul"))
    assert panel.page.evaluate(script, None) is None
