"""`telehealth register`: business associates, incidents, findings of security tests."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from telehealth.access import command_line
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import CommandRefused, Said, table
from telehealth.errors import NotFound
from telehealth.ids import Kind, is_id
from telehealth.registers.forms import FORMS, Form
from telehealth.registers.table import as_csv, plain

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House
    from telehealth.registers.room import Item

_NOTICE = "TO:DAY:HOW"


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "register", "Business associates, incidents with their clock, findings of security tests.")
    listing = verb(verbs, common, "list", "What is due first at the top.", housed=_list)
    showing = verb(verbs, common, "show", "One item, with all its deadlines.", housed=_show)
    adding = verb(verbs, common, "add", "A new item.", housed=_add)
    changing = verb(verbs, common, "change", "Set fields of an item; what is not set stays.", housed=_change)
    leaving = verb(verbs, common, "export", "A whole register, as JSON or CSV, to standard output.", housed=_export)
    for parser in (listing, showing, adding, changing, leaving):
        parser.add_argument("register", choices=sorted(FORMS))
    for parser in (showing, changing):
        parser.add_argument("item", help="its id (reg_…)")
    for parser in (adding, changing):
        parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="given", help=_fields())
    for parser in (adding, changing):
        parser.add_argument("--notice", action="append", default=[], metavar=_NOTICE, help="one more notice was sent")
    leaving.add_argument("--format", choices=("json", "csv"), default="csv")


def _fields() -> str:
    told = "; ".join(f"{name}: {', '.join(form.model_fields)}" for name, form in sorted(FORMS.items()))
    return f"an empty value clears it ({told})"


def _row(item: "Item") -> dict[str, Any]:
    return {**plain(item.id, item.form, item.standing), "revision": item.revision}


async def _list(house: "House", args: argparse.Namespace) -> Said:
    found = [_row(one) for one in await house.stewardship.registers.list(command_line(), args.register)]
    title = "name" if args.register == "associates" else "title"
    rows = [(one["id"], one["state"], one["due"], one[title]) for one in found]
    lines = table(("ID", "STATE", "DUE", "WHAT"), rows) if rows else ["Nothing is in this register."]
    return Said({"items": found}, [*lines, f"Next: telehealth register add {args.register} --set FIELD=VALUE"])


async def _show(house: "House", args: argparse.Namespace) -> Said:
    item = await house.stewardship.registers.show(command_line(), args.register, _known(args.item))
    return _said(item)


def _said(item: "Item") -> Said:
    data = _row(item)
    lines = [
        f"{name:20} {value}" for name, value in data.items() if value not in (None, [], "") and name != "deadlines"
    ]
    for one in data["deadlines"]:
        lines.append(f"  {one['what']}: by {one['by']}{', done ' + one['met_on'] if one['met_on'] else ''}")
    return Said(data, lines)


async def _add(house: "House", args: argparse.Namespace) -> Said:
    form = _form(args.register, {}, args)
    return _said(await house.stewardship.registers.add(command_line(), args.register, form))


async def _change(house: "House", args: argparse.Namespace) -> Said:
    room, name = house.stewardship.registers, _known(args.item)
    item = await room.show(command_line(), args.register, name)
    form = _form(args.register, item.form.model_dump(mode="json"), args)
    return _said(await room.change(command_line(), args.register, name, item.revision, form))


async def _export(house: "House", args: argparse.Namespace) -> Said:
    found = await house.stewardship.registers.export(command_line(), args.register, args.format)
    items = [plain(one.id, one.form, one.standing) for one in found]
    text = as_csv(args.register, items) if args.format == "csv" else json.dumps(items, ensure_ascii=False, indent=2)
    return Said({"items": items}, text.splitlines())


def _known(name: str) -> str:
    if not is_id(Kind.REGISTER_ITEM, name):
        raise NotFound
    return name


def _form(register: str, before: dict[str, Any], args: argparse.Namespace) -> Form:
    """What is there with what was set; parsed whole."""
    values = {**before, **dict(_pair(one) for one in args.given)}
    if args.notice:
        values["notices"] = [*(values.get("notices") or ()), *(_notice(one) for one in args.notice)]
    try:
        return FORMS[register].model_validate(values)
    except ValidationError as error:
        raise CommandRefused("usage", _fault(error.errors(include_input=False, include_url=False))) from None


def _fault(faults: Sequence[Any]) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'item'}: {one['msg']}" for one in faults)


def _pair(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandRefused("usage", "--set takes FIELD=VALUE.")
    return name.strip(), value.strip() or None


def _notice(text: str) -> dict[str, str]:
    to, _, rest = text.partition(":")
    on, _, how = rest.partition(":")
    return {"to": to, "on": on, "how": how or "letter"}
