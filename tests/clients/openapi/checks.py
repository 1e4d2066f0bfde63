"""What counts as a server error: every 5xx that is not a dialect's documented word for a caller's mistake."""

import os

import schemathesis

DIALECT = os.environ["DIALECT"]

# Refusals for which the contract fixes a status of the 500s.
GENIE = {"generation_failed", "decrypt_failed", "server_misconfigured", "account_setup_incomplete"}
# What Sage says when something really failed.
SAGE_FAILED = {"内部服务器错误", "Internal server error", "服务暂时不可用，请稍后重试", "Temporarily unavailable, please try again"}


def is_refusal(response) -> bool:
    try:
        body = response.json()
    except ValueError:
        return False
    if not isinstance(body, dict):
        return False
    if DIALECT == "sage":
        return body.get("code") == response.status_code and body.get("message") not in SAGE_FAILED
    if DIALECT == "genie":
        return body.get("error") in GENIE
    return False


@schemathesis.check
def no_server_error(ctx, response, case):
    if response.status_code >= 500 and not is_refusal(response):
        raise AssertionError(f"{response.status_code}: {response.text[:500]}")
