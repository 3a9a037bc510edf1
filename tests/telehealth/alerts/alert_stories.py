"""Each rule by name: its story, and the innocent one."""

import alert_machine as machine
import alert_people as people
from alert_people import Story
from alert_registers import changes_a_register, reminded_of

STORIES: dict[str, tuple[Story, Story]] = {
    "sign_in_failures_account": (people.guesses_one_account, people.forgets_for_an_hour),
    "sign_in_failures_address": (people.sprays_accounts, people.many_forget_at_many_places),
    "code_failures_link": (people.guesses_codes, people.mistypes_a_code),
    "code_failures_address": (people.guesses_codes_of_three_visits, people.a_family_mistypes_one),
    "new_country": (people.travels, people.moves_within_the_country),
    "new_device": (people.takes_another_device, people.updates_the_browser),
    "bulk_playback": (people.plays_everything, people.plays_one_again_and_again),
    "bulk_export": (people.exports_four, people.exports_one_a_day),
    "bulk_deletion": (people.deletes_five, people.the_sweeper_deletes_many),
    "unusual_access": (people.comes_from_outside_a_bound, people.asks_why),
    "restored": (people.is_restored, machine.backup_is_made),
    "bulk_patients": (people.reads_forty_patients, people.reads_one_patient_often),
    "log_export": (people.takes_the_log_out, people.reads_the_log),
    "outside_hours": (people.plays_at_night, people.plays_in_the_morning),
    "not_own_patient": (people.plays_a_colleagues, people.plays_own),
    "refused_access": (machine.tries_every_door, machine.tries_two_doors),
    "token_refused": (machine.token_asks_beyond_scope, machine.token_asks_once_too_much),
    "token_network_refused": (machine.token_from_outside, machine.token_that_ended),
    "token_new_network": (machine.token_moves, machine.token_moves_next_door),
    "token_new_country": (machine.token_goes_abroad, machine.token_moves),
    "token_rate": (machine.token_runs_wild, machine.token_is_always_busy),
    "break_glass": (machine.admits_without_log, machine.admits),
    "break_glass_open": (machine.breaks_the_glass, machine.closes_the_glass),
    "second_factor_reset": (machine.resets_a_factor, machine.proves_a_factor),
    "admin_made": (machine.makes_an_admin, machine.makes_a_clinician),
    "passkey_copied": (machine.copies_a_passkey, machine.removes_a_passkey),
    "recording_damaged": (machine.scrub_finds_damage, machine.scrub_finds_none),
    "reconcile_discord": (machine.comparison_finds_orphans, machine.comparison_finds_none),
    "retention_stuck": (machine.sweeps_leave_things, machine.one_sweep_leaves_something),
    "entries_lost": (machine.loses_entries, people.reads_the_log),
    "incident_due": (reminded_of("incidents"), reminded_of("findings")),
    "associate_due": (reminded_of("associates"), changes_a_register),
    "finding_due": (reminded_of("findings"), reminded_of("associates")),
    "backup_failed": (machine.backup_fails, machine.backup_is_made),
}
