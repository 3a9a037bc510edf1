"""Every HTTP request we answer, in one list: the router, the contract and the tests read it."""

from telehealth.web import (
    account,
    audit,
    health,
    joining,
    passkeys,
    playback,
    proofs,
    recordings,
    session,
    texts,
    tokens,
    users,
    visits,
)
from telehealth.web.route import Route

ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *passkeys.ROUTES,
    *account.ROUTES,
    *users.ROUTES,
    *tokens.ROUTES,
    *visits.ROUTES,
    *joining.ROUTES,
    *recordings.ROUTES,
    *playback.ROUTES,
    *audit.ROUTES,
    *proofs.ROUTES,
    *texts.ROUTES,
    *health.ROUTES,
)
