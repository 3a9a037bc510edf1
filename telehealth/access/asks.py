"""What every request, socket event and command asks for: its action, and the kind of thing it is about.

The gate of the web reads the first table before a handler runs; a test walks all three and finds nothing outside.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from telehealth.access.facts import Kind
from telehealth.access.table import Action


class Ask(NamedTuple):
    action: Action
    kind: Kind


def _asks(*groups: tuple[Action, Kind, str]) -> Mapping[str, Ask]:
    found: dict[str, Ask] = {}
    for action, kind, names in groups:
        for name in map(str.strip, names.split(",")):
            if name in found:
                raise ValueError(f"{name} asks twice")
            found[name] = Ask(action, kind)
    return MappingProxyType(found)


# By operation id: the name of the route's handler.
ROUTES = _asks(
    (Action.PUBLIC, Kind.NOTHING, "sign_in, about, enter_demo, passkey_sign_in_options, passkey_sign_in"),
    (Action.PUBLIC, Kind.NOTHING, "look_enrolment, finish_enrolment, open_link, show_consent_text"),
    (Action.PUBLIC, Kind.NOTHING, "sso_begin, sso_finish, sso_code, sso_back_channel"),
    (Action.ACCOUNT_SEE, Kind.ACCOUNT, "sso_sign_out"),
    (Action.ACCOUNT_USE, Kind.ACCOUNT, "sso_show_link"),
    (Action.ACCOUNT_CHANGE, Kind.ACCOUNT, "sso_begin_link, sso_finish_link, sso_unlink"),
    (Action.PUBLIC, Kind.NOTHING, "healthz, readyz, openapi, fhir_metadata"),
    (Action.ACCOUNT_SEE, Kind.ACCOUNT, "show_session, renew_session, sign_out, end_sessions, end_session, lose_device"),
    (Action.ACCOUNT_SEE, Kind.ACCOUNT, "session_challenge"),  # whoever comes back into a call needs one, at any hour
    (Action.ACCOUNT_USE, Kind.ACCOUNT, "list_passkeys, list_sessions, step_up_options, step_up"),
    (Action.ACCOUNT_CHANGE, Kind.ACCOUNT, "new_passkey_options, add_passkey, remove_passkey, change_password"),
    (Action.USERS_MANAGE, Kind.USER, "list_users"),
    (Action.USERS_CHANGE, Kind.USER, "add_user, change_user, reset_user"),
    (Action.RESETS_READ, Kind.USER, "list_resets, refuse_reset"),
    (Action.RESETS_APPROVE, Kind.USER, "approve_reset"),
    (Action.TOKENS_MANAGE, Kind.TOKEN, "list_tokens, revoke_token"),
    (Action.TOKENS_CHANGE, Kind.TOKEN, "create_token, rotate_token"),
    (Action.VISITS_CREATE, Kind.VISIT, "create_visit, list_clinicians"),
    (Action.VISITS_LIST, Kind.VISIT, "list_visits"),
    (Action.VISITS_READ, Kind.VISIT, "show_visit, list_team"),
    (Action.VISITS_WRITE, Kind.VISIT, "change_visit, issue_link, revoke_link, renew_budget"),
    (Action.VISITS_READ, Kind.VISIT, "list_guests"),
    (Action.VISITS_WRITE, Kind.VISIT, "invite_guest, issue_guest_link, remove_guest"),
    (Action.VISITS_END, Kind.VISIT, "end_visit"),
    (Action.VISITS_TEAM, Kind.VISIT, "add_to_team, remove_from_team"),
    (Action.VISITS_MEDIA, Kind.VISIT, "show_visit_media"),
    (Action.PUBLIC, Kind.NOTHING, "begin_connection_test, list_connection_paths"),
    (Action.ACCOUNT_SEE, Kind.ACCOUNT, "staff_test_servers"),
    (Action.VISITS_JOIN, Kind.VISIT, "patient_test_servers"),
    (Action.VISITS_JOIN, Kind.VISIT, "show_join, mint_code, verify_code, give_details, give_up"),
    (Action.PUBLIC, Kind.NOTHING, "lost_link"),
    (Action.VISITS_CALL, Kind.VISIT, "record_sighting, list_sightings"),
    (Action.RECORDINGS_LIST, Kind.RECORDING, "list_recordings, search_recordings"),
    (Action.RECORDINGS_READ, Kind.RECORDING, "show_recording"),
    (Action.RECORDINGS_PLAY, Kind.RECORDING, "grant_playback, renew_grant, close_grant, play_track"),
    (Action.RECORDINGS_EXPORT, Kind.RECORDING, "begin_export, show_export, cancel_export, remove_export"),
    (Action.RECORDINGS_EXPORT, Kind.RECORDING, "list_exports, download_export"),
    (Action.COPIES_ASK, Kind.RECORDING, "ask_copy, recording_copies"),
    (Action.COPIES_DECIDE, Kind.RECORDING, "list_copies, decline_copy"),
    (Action.COPIES_APPROVE, Kind.RECORDING, "approve_copy, copy_link, tell_copy_code"),
    (Action.VISITS_JOIN, Kind.VISIT, "own_recordings, ask_own_copy"),
    (Action.PUBLIC, Kind.NOTHING, "open_copy, send_copy_code, verify_copy_code, download_copy"),
    (Action.RECORDINGS_MANAGE, Kind.RECORDING, "set_hold, show_certificate, show_part_certificate, list_deletions"),
    (Action.RECORDINGS_DELETE, Kind.RECORDING, "delete_recording"),
    (Action.PARTS_DELETE, Kind.RECORDING, "destroy_part"),
    (Action.DELETIONS_APPROVE, Kind.RECORDING, "approve_deletion"),
    (Action.DELETIONS_REFUSE, Kind.RECORDING, "refuse_deletion"),
    (Action.RECORDINGS_RELEASE, Kind.RECORDING, "release_hold"),
    (Action.RETENTION_READ, Kind.RETENTION, "show_retention"),
    (Action.RETENTION_CHANGE, Kind.RETENTION, "set_retention"),
    (Action.GLASS_BREAK, Kind.OPENING, "break_glass"),
    (Action.GLASS_LIST, Kind.OPENING, "list_glasses"),
    (Action.GLASS_DECIDE, Kind.OPENING, "approve_glass, deny_glass"),
    (Action.GLASS_CLOSE, Kind.OPENING, "close_glass"),
    (Action.ACCESS_EXPLAIN, Kind.SERVER, "show_matrix"),
    (Action.AUDIT_READ, Kind.LOG, "list_entries, find_patient, visit_story, export_entries, audit_checkpoint"),
    (Action.AUDIT_READ, Kind.LOG, "audit_keys, audit_inclusion, audit_consistency, audit_tile"),
    (Action.AUDIT_READ, Kind.LOG, "fhir_search, fhir_read"),
    (Action.AUDIT_READ, Kind.LOG, "count_alerts, list_alerts, list_alert_rules, try_alert_rules"),
    (Action.AUDIT_READ, Kind.LOG, "list_reviews, show_review"),
    (Action.ALERTS_ANSWER, Kind.LOG, "acknowledge_alert, judge_case"),
    (Action.REVIEWS_SIGN, Kind.LOG, "sign_review"),
    (Action.AUDIT_REPORT, Kind.LOG, "list_disclosures, patient_report, patient_evidence"),
    (Action.REGISTERS_READ, Kind.REGISTER, "list_associates, list_incidents, list_findings"),
    (Action.REGISTERS_READ, Kind.REGISTER, "export_associates, export_incidents, export_findings"),
    (Action.REGISTERS_WRITE, Kind.REGISTER, "add_associate, add_incident, add_finding"),
    (Action.REGISTERS_WRITE, Kind.REGISTER, "change_associate, change_incident, change_finding"),
    (Action.PRIVACY_READ, Kind.SERVER, "show_privacy_due"),
    (Action.PRIVACY_EXPORT, Kind.SERVER, "export_deidentified"),
    (Action.METRICS_READ, Kind.SERVER, "metrics"),
)

# Of the namespace /visit: what a patient does in the visit of their link, and what its clinician does.
EVENTS = _asks(
    (Action.VISITS_JOIN, Kind.VISIT, "enter, leave, signal, media, quality, ping"),
    (Action.VISITS_JOIN, Kind.VISIT, "consent.answer, consent.withdraw, leg.offer, leg.ready, chat"),
    (Action.VISITS_CALL, Kind.VISIT, "admit, remove, end, screen_policy"),
    (Action.VISITS_CALL, Kind.VISIT, "recording.ask, recording.stop, recording.pause, recording.resume"),
)

# On the server's own machine; the words after `telehealth`.
COMMANDS = _asks(
    (Action.SERVER_RUN, Kind.SERVER, "serve, doctor, recording reconcile, keys status, keys rotate, keys rewrap"),
    (Action.SERVER_RUN, Kind.SERVER, "audit rotate-key, recording verify-certificate"),
    (Action.USERS_MANAGE, Kind.USER, "user list"),
    (Action.USERS_CHANGE, Kind.USER, "user add, user disable, user enable, user reset"),
    (Action.TOKENS_MANAGE, Kind.TOKEN, "token list, token revoke"),
    (Action.TOKENS_CHANGE, Kind.TOKEN, "token create, token rotate"),
    (Action.VISITS_CREATE, Kind.VISIT, "visit create"),
    (Action.VISITS_LIST, Kind.VISIT, "visit list"),
    (Action.VISITS_TEAM, Kind.VISIT, "visit team"),
    (Action.RECORDINGS_LIST, Kind.RECORDING, "recording list"),
    (Action.RECORDINGS_READ, Kind.RECORDING, "recording show, recording verify"),
    (Action.RECORDINGS_DELETE, Kind.RECORDING, "recording delete"),
    (Action.PARTS_DELETE, Kind.RECORDING, "recording delete-part"),
    (Action.RECORDINGS_MANAGE, Kind.RECORDING, "recording deletions, recording certificate"),
    (Action.DELETIONS_APPROVE, Kind.RECORDING, "recording approve"),
    (Action.DELETIONS_REFUSE, Kind.RECORDING, "recording refuse"),
    (Action.AUDIT_READ, Kind.LOG, "alerts list, alerts rules, alerts try, alerts review"),
    (Action.ALERTS_ANSWER, Kind.LOG, "alerts acknowledge"),
    (Action.SERVER_RUN, Kind.SERVER, "backup create, backup verify, backup restore, backup status, drill breach"),
    (Action.RECORDINGS_EXPORT, Kind.RECORDING, "recording export, recording export-begin, recording export-show"),
    (Action.RECORDINGS_EXPORT, Kind.RECORDING, "recording export-cancel, recording export-remove"),
    (Action.RECORDINGS_EXPORT, Kind.RECORDING, "recording export-piece"),
    (Action.GLASS_LIST, Kind.OPENING, "access glasses"),
    (Action.GLASS_CLOSE, Kind.OPENING, "access close"),
    (Action.ACCESS_EXPLAIN, Kind.SERVER, "access explain, access matrix"),
    (Action.AUDIT_READ, Kind.LOG, "audit verify, audit prove, audit tail, audit story, audit export"),
    (Action.AUDIT_REPORT, Kind.LOG, "audit report, audit disclosures"),
    (Action.SERVER_RUN, Kind.SERVER, "outward status, outward resend"),
    (Action.REGISTERS_READ, Kind.REGISTER, "register list, register show, register export"),
    (Action.REGISTERS_WRITE, Kind.REGISTER, "register add, register change, alerts incident"),
    (Action.PRIVACY_READ, Kind.SERVER, "privacy due"),
    (Action.PRIVACY_EXPORT, Kind.SERVER, "privacy export"),
)
