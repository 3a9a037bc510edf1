"""What every answer says to the browser about what it may do (OWASP ASVS 5.0 V3)."""

from urllib.parse import urlsplit

from telehealth.config import Config

_ALLOWED = (
    "camera",
    "microphone",
    "display-capture",
    "fullscreen",
    "autoplay",
    "screen-wake-lock",
    "speaker-selection",
    "publickey-credentials-create",
    "publickey-credentials-get",
)
_DENIED = (
    "accelerometer",
    "bluetooth",
    "browsing-topics",
    "clipboard-read",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "midi",
    "payment",
    "serial",
    "storage-access",
    "usb",
    "xr-spatial-tracking",
)


def content_policy(config: Config) -> str:
    """CSP: everything from us alone; the WebSocket origin is spelled out for Safari."""
    public = urlsplit(config.public_url)
    socket = f"{'wss' if public.scheme == 'https' else 'ws'}://{public.netloc}"
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": f"'self' {socket}",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def security_headers(config: Config) -> dict[str, str]:
    """The headers of every answer, whatever its status. HSTS only where people come by https."""
    features = [f"{name}=(self)" for name in _ALLOWED] + [f"{name}=()" for name in _DENIED]
    headers = {
        "Content-Security-Policy": content_policy(config),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(features),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Server": "telehealth",
    }
    if config.https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers
