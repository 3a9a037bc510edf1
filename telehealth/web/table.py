"""Every HTTP request we answer, in one list: the router, the contract and the tests read it."""

from telehealth.web import audit, health, joining, playback, recordings, session, texts, users, visits
from telehealth.web.route import Route

ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *users.ROUTES,
    *visits.ROUTES,
    *joining.ROUTES,
    *recordings.ROUTES,
    *playback.ROUTES,
    *audit.ROUTES,
    *texts.ROUTES,
    *health.ROUTES,
)
