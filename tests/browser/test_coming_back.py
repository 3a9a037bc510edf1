"""Who reloads, drops or leaves is the same person afterwards; who was removed stays out."""

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.browser.clinic import Booked, Clinic, deaf_to, reloaded
from tests.stories.people import Patient, Person, Staff

pytestmark = pytest.mark.browser

KEEP_CONNECTIONS = """window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.connections.push(this); }
};"""
WITHDRAW = "() => document.querySelector('#withdraw').click()"
NOTHING_TO_THE_SERVER = """() => {
  const legs = window.connections.filter((one) => one.remoteDescription?.sdp.includes("a=ice-lite"));
  return legs.length > 0 && legs.every((one) => one.signalingState === "closed");
}"""


def people_who_joined(at: Clinic, visit: str) -> set[str]:
    return {entry["subject"] for entry in at.entries(visit, "join")}


def carried(who: Person) -> list[WebSocketRoute]:
    """The lines this person's pages open from now on, each of which can be cut."""
    lines: list[WebSocketRoute] = []

    def carry(line: WebSocketRoute) -> None:
        line.connect_to_server()
        lines.append(line)

    who.context.route_web_socket("**/socket.io/**", carry)
    return lines


def recorded(at: Clinic, booked: Booked, patient: Patient) -> tuple[Staff, Patient]:
    """A call that is recorded, media on its way through the server."""
    clinician, patient = at.call(booked, patient)
    clinician.ask_to_record()
    for who in (clinician, patient):
        who.page.click("#consent-yes")
    for who in (clinician, patient):
        expect(who.page.locator("#light")).to_have_attribute("data-state", "recording", timeout=20_000)
        expect(who.page.locator(".stage")).to_have_attribute("data-media", "relay settled", timeout=20_000)
    return clinician, patient


def test_a_patient_who_reloads_in_a_call_is_the_same_person_and_is_seen_again(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = at.call(booked)
    clinician.sees()
    reloaded(patient.page)
    clinician.sees()
    patient.sees()
    expect(clinician.page.locator(".admit")).to_have_count(0)
    assert len(people_who_joined(at, booked.visit)) == 2


def test_a_clinician_who_reloads_in_a_call_finds_it_running(at: Clinic) -> None:
    booked = at.book()
    clinician, patient = at.call(booked)
    patient.sees()
    reloaded(clinician.page)
    patient.sees()
    clinician.sees()
    expect(patient.page.locator(".controls")).to_be_visible()
    assert len(people_who_joined(at, booked.visit)) == 2


def test_a_dropped_line_is_taken_up_again_without_being_let_in_anew(at: Clinic) -> None:
    patient = at.patient()
    lines = carried(patient)
    clinician, patient = at.call(patient=patient)
    clinician.sees()
    lines[-1].close()
    expect(patient.page.locator(".call-tell")).to_contain_text("Connection lost")
    expect(patient.page.locator(".call-tell")).to_be_empty(timeout=15_000)
    assert len(lines) == 2
    clinician.sees()
    patient.sees()
    expect(clinician.page.locator(".admit")).to_have_count(0)


def test_a_report_nobody_asked_for_says_nothing_when_the_line_drops(at: Clinic) -> None:
    patient = at.patient()
    lines: list[WebSocketRoute] = []
    unanswered: list[str] = []

    def carry(line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        lines.append(line)
        line.on_message(
            lambda message: unanswered.append(str(message)) if '["quality"' in str(message) else server.send(message)
        )

    patient.context.route_web_socket("**/socket.io/**", carry)
    at.call(patient=patient)
    while not unanswered:
        patient.page.wait_for_timeout(100)
    lines[-1].close()
    expect(patient.page.locator(".call-tell")).to_contain_text("Connection lost")
    expect(patient.page.locator(".call-tell")).to_be_empty(timeout=15_000)


def test_what_stands_on_the_stage_is_seen_again_after_what_is_said_for_a_while(at: Clinic) -> None:
    patient = at.patient()
    lines: list[WebSocketRoute] = []

    def carry(line: WebSocketRoute) -> None:
        lines.append(line)
        if len(lines) == 1:
            line.connect_to_server()
        else:
            line.close()

    patient.context.route_web_socket("**/socket.io/**", carry)
    clinician, patient = at.call(patient=patient)
    clinician.sees()
    lines[0].close()
    told = patient.page.locator(".call-tell")
    expect(told).to_contain_text("Connection lost")
    clinician.page.click("#chat")
    clinician.page.fill("#chat-text", "Can you hear me?")
    clinician.page.keyboard.press("Enter")
    expect(told).to_have_text("New message")
    expect(told).to_contain_text("Connection lost", timeout=10_000)


def test_a_yes_taken_back_while_the_line_is_down_counts_as_soon_as_it_is_back(at: Clinic) -> None:
    patient = at.patient()
    lines = carried(patient)
    patient.context.add_init_script(KEEP_CONNECTIONS)
    booked = at.book()
    clinician, patient = recorded(at, booked, patient)
    lines[-1].close()
    expect(patient.page.locator(".call-tell")).to_contain_text("Connection lost")
    assert patient.page.evaluate(f"() => {{ ({WITHDRAW})(); return ({NOTHING_TO_THE_SERVER})(); }}")
    expect(patient.page.locator(".call-tell")).to_contain_text("Nothing more of you is sent")
    for who in (clinician, patient):
        expect(who.page.locator("#light")).to_be_hidden(timeout=20_000)
        expect(who.page.locator(".call-tell")).to_contain_text("Consent was withdrawn")
    assert len(lines) == 2
    assert at.entries(booked.visit, "consent.withdraw")
    clinician.sees()
    patient.sees()


def test_a_yes_taken_back_that_nobody_answers_ends_what_the_server_gets(at: Clinic) -> None:
    patient = at.patient()
    patient.context.add_init_script(KEEP_CONNECTIONS)
    patient.context.route_web_socket("**/socket.io/**", deaf_to("consent.withdraw"))
    _, patient = recorded(at, at.book(), patient)
    patient.page.click("#withdraw")
    patient.wait_for(NOTHING_TO_THE_SERVER)


def test_who_closes_the_page_is_away_for_the_other_and_comes_back_into_the_call(at: Clinic) -> None:
    clinician, patient = at.call()
    clinician.sees()
    patient.page.goto("about:blank")
    expect(clinician.page.locator(".absent")).to_contain_text("lost the connection")
    patient.page.goto(f"{at.house.url}/join")
    patient.page.wait_for_selector(".controls")
    clinician.sees()


def test_a_removed_patient_stays_out_after_a_reload(at: Clinic) -> None:
    clinician, patient = at.call()
    clinician.page.click("#remove")
    clinician.page.locator("dialog button.danger").click()
    expect(patient.page.locator("[data-step=over]")).to_contain_text("removed from this visit")
    patient.page.reload()
    patient.page.wait_for_selector("[data-step=over], [data-step=unknown], [data-step=devices]")
    if patient.page.locator("#where").count():
        patient.get_ready()
    expect(patient.page.locator("[data-step=over], [data-step=unknown]")).to_be_visible()
    expect(clinician.page.locator(".admit")).to_have_count(0)
    expect(clinician.page.locator("#location")).to_have_count(0)


def test_a_patient_who_leaves_may_come_back_to_the_waiting_room(at: Clinic) -> None:
    clinician, patient = at.call()
    patient.page.click("#leave")
    over = patient.page.locator("[data-step=over]")
    expect(over).to_contain_text("You can come back")
    expect(clinician.page.locator("#location")).to_have_count(0)
    over.get_by_role("button").click()
    patient.get_ready()
    patient.page.wait_for_selector("#waiting-status")
    clinician.page.click(".admit")
    patient.page.wait_for_selector(".controls")
    clinician.sees()


def test_a_second_tab_takes_over_and_the_first_says_so(at: Clinic) -> None:
    clinician, patient = at.call()
    first = patient.page
    patient.page = patient.context.new_page()
    patient.page.goto(f"{at.house.url}/join")
    patient.get_ready()
    patient.page.wait_for_selector(".controls")
    expect(first.locator("[data-step=replaced]")).to_contain_text("another page")
    clinician.sees()
    expect(clinician.page.locator(".admit")).to_have_count(0)


def test_a_third_person_does_not_get_in_and_is_told_so(at: Clinic) -> None:
    booked = at.book()
    clinician, _ = at.call(booked)
    third = at.staff(at.admin_state)
    third.page.goto(f"{at.house.url}/call/{booked.visit}")
    expect(third.page.locator("main.narrow h1")).to_have_text("You are not in the visit")
    expect(third.page.get_by_role("alert")).to_contain_text("you may not see it")
    clinician.sees()
