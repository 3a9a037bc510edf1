"""What must not be found again, letter by letter."""

from collections.abc import Mapping
from datetime import UTC, datetime

# 45 CFR 164.514(b)(2)(i), letter by letter: what must not be found again in anything that leaves.
IDENTIFIERS: Mapping[str, tuple[str, ...]] = {
    "A names": ("Zora", "Quimbyton", "Mother Ilse Quimbyton", "Acme Fruit Employer"),
    "B geography": ("14 Larkspur Lane", "Cambridgeport", "Middlesex County", "02139", "021", "42.3601", "precinct 7"),
    "C dates": ("1941-03-17", "17.03.1941", "March 17", "2029-11-23", "11-23", "T14:35", "14:35"),
    "D telephone numbers": ("+1 617 555 0142", "6175550142"),
    "E fax numbers": ("fax 617 555 0199", "6175550199"),
    "F e-mail addresses": ("zora.canary@example.org", "example.org"),
    "G social security numbers": ("078-05-1120", "078051120"),
    "H medical record numbers": ("MRN-7730041", "7730041"),
    "I health plan numbers": ("HPB-55-2210-X", "2210-X"),
    "J account numbers": ("ACCT 99120034", "99120034"),
    "K certificate and licence numbers": ("DL S4471120", "S4471120"),
    "L vehicle identifiers": ("1HGCM82633A004352", "plate 7KWX219"),
    "M device identifiers": ("IMEI 490154203237518", "SN-PUMP-33181"),
    "N web addresses": ("https://people.example.net/zora", "people.example.net"),
    "O network addresses": ("203.0.113.77", "2001:db8::77"),
    "P biometric identifiers": ("voiceprint-9f31c2", "fingerprint-whorl-771"),
    "Q photographs": ("data:image/jpeg;base64,/9j/4AAQ", "face-0042.jpg"),
    "R other unique codes": ("trial-arm-Z9-unique", "b3c1-unique-characteristic"),
}
EVERYTHING = " | ".join(text for several in IDENTIFIERS.values() for text in several)
BIRTH = "1941-03-17"
VISIT_AT = datetime(2029, 11, 23, 14, 35, tzinfo=UTC)
